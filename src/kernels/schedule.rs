//! Schedules: how a kernel's work is cut for threads and workgroups. Each carries its sizes; the constants of its text, the
//! grid and the order of the weights follow from them.

/// Fours of channels of a step through workgroup memory.
pub(crate) const BLOCK_STEP: u32 = 4;

/// How a kernel's work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// An element a thread, the weights as they are: it runs anywhere.
    Plain,
    /// A way of the kernel's own, whose sizes are constants of its own.
    Own(&'static str),
    /// Sums in registers; a thread loads its weights itself (`shaders/shared/tiled.wgsl`).
    Registers(Tile),
    /// The same, as small as can be.
    Small(Tile),
    /// Sums in registers; the lanes of a subgroup hand each other weights by shuffles.
    Shuffled(Tile),
    /// The same with operands read as textures.
    Texels(Tile),
    /// Sums in registers; all lanes load their weights at one address, which the driver does once for all of them.
    Common(Tile),
    /// Blocks that pass through workgroup memory (`shaders/shared/blocked.wgsl`).
    Blocked(Block),
    /// Blocks that matrix units multiply (`shaders/shared/matrix.wgsl`).
    Matrix(Shares),
}

/// Sums that a thread holds in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Threads of a workgroup.
    pub threads: u32,
    /// Pixels of a thread.
    pub pixels: u32,
    /// Rows of weights of a thread: so many times …
    pub times: u32,
    /// … so many lanes.
    pub lanes: u32,
    /// Fours of channels of a turn of the loop.
    pub step: u32,
}

/// A block that passes through workgroup memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Threads along pixels and along rows of weights.
    pub threads: [u32; 2],
    /// Fours of pixels and of rows a thread.
    pub fours: [u32; 2],
}

/// A block of shares, each the matrices of one subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shares {
    /// Whether factors are f32; else they are f16.
    pub wide: bool,
    /// Rows and columns of a matrix.
    pub size: u32,
    /// Threads of a workgroup.
    pub threads: u32,
    /// Shares along pixels and along rows of weights.
    pub shares: [u32; 2],
    /// Matrices of a share along pixels and along rows.
    pub matrices: [u32; 2],
    /// Steps that workgroup memory holds: with two, one is loaded while the other is multiplied.
    pub buffers: u32,
    /// Matrices of sums of each share, of those along rows, that workgroup memory holds when they are handed over.
    pub held: u32,
}

impl Tile {
    const NAMES: [&'static str; 5] = ["WG", "TP", "TJ", "TL", "STEP"];

    fn values(&mut self) -> [&mut u32; 5] {
        [&mut self.threads, &mut self.pixels, &mut self.times, &mut self.lanes, &mut self.step]
    }

    /// Pixels of a workgroup, and rows of weights.
    pub fn extents(&self) -> [usize; 2] {
        [self.threads * self.pixels, self.times * self.lanes].map(|n| n as usize)
    }
}

impl Block {
    const NAMES: [&'static str; 4] = ["LP", "LK", "TG", "TH"];

    fn values(&mut self) -> [&mut u32; 4] {
        let ([lp, lk], [tg, th]) = (&mut self.threads, &mut self.fours);
        [lp, lk, tg, th]
    }

    /// Pixels of a workgroup, and rows of weights.
    pub fn extents(&self) -> [usize; 2] {
        [0, 1].map(|i| 4 * (self.threads[i] * self.fours[i]) as usize)
    }

    /// Bytes of workgroup memory.
    pub fn bytes(&self) -> usize {
        16 * BLOCK_STEP as usize * self.extents().iter().sum::<usize>()
    }
}

impl Shares {
    const NAMES: [&'static str; 8] = ["SIZE", "WG", "SP", "SK", "MP", "MK", "BUFFERS", "HELD"];

    fn values(&mut self) -> [&mut u32; 8] {
        let ([sp, sk], [mp, mk]) = (&mut self.shares, &mut self.matrices);
        [&mut self.size, &mut self.threads, sp, sk, mp, mk, &mut self.buffers, &mut self.held]
    }

    /// Pixels of a workgroup, and rows of weights.
    pub fn extents(&self) -> [usize; 2] {
        [0, 1].map(|i| (self.shares[i] * self.matrices[i] * self.size) as usize)
    }

    /// Sums that a thread holds.
    pub fn sums(&self) -> u32 {
        self.extents().iter().product::<usize>() as u32 / self.threads
    }

    /// Fours of channels of a step: 64 bytes of each row.
    pub fn step(&self) -> u32 {
        if self.wide { 4 } else { 8 }
    }

    /// Bytes of workgroup memory: x and weights with what pads their rows, and sums of each share.
    pub fn bytes(&self) -> u32 {
        let [pixels, rows] = self.extents().map(|n| n as u32);
        (64 + 16) * self.buffers * (pixels + rows) + 4 * self.held * self.shares[0] * self.shares[1] * self.size.pow(2)
    }

    /// Fours of x and of weights that a thread loads in a step.
    pub(super) fn loads(&self) -> [u32; 2] {
        self.extents().map(|n| (n as u32 * self.step()).div_ceil(self.threads))
    }
}

impl Schedule {
    /// Its name among a kernel's schedules, with factors of f16 or without.
    pub fn name(&self, f16: bool) -> &'static str {
        match (self, f16) {
            (Self::Plain, _) => "plain",
            (Self::Own(name), _) => name,
            (Self::Registers(_), false) => "registers",
            (Self::Registers(_), true) => "registers-f16",
            (Self::Small(_), _) => "small",
            (Self::Shuffled(_), false) => "subgroup",
            (Self::Shuffled(_), true) => "subgroup-f16",
            (Self::Texels(_), _) => "texels",
            (Self::Common(_), _) => "common",
            (Self::Blocked(block), _) => match (block.extents(), f16) {
                ([128, 128], false) => "blocked-128",
                ([128, 128], true) => "blocked-128-f16",
                ([128, 64], false) => "blocked-128x64",
                ([128, 64], true) => "blocked-128x64-f16",
                ([_, 64], false) => "blocked-64",
                ([_, 64], true) => "blocked-64-f16",
                (_, false) => "blocked-32",
                (_, true) => "blocked-32-f16",
            },
            (Self::Matrix(shares), _) if shares.wide => match shares.extents() {
                [256, _] => "matrix-8-256x128-f32",
                [128, 128] => "matrix-8-large-f32",
                [128, 64] => "matrix-8-128x64-f32",
                [64, _] => "matrix-8-f32",
                _ => "matrix-8-narrow-f32",
            },
            (Self::Matrix(shares), _) => match (shares.size, shares.extents()) {
                (8, [256, _]) => "matrix-8-256x128",
                (8, [128, 128]) => "matrix-8-large",
                (8, [128, 64]) => "matrix-8-128x64",
                (8, [64, _]) => "matrix-8",
                (8, _) => "matrix-8-narrow",
                (_, [256, _]) => "matrix-16-256x128",
                (_, [128, 128]) => "matrix-16-large",
                (_, [128, 64]) => "matrix-16-128x64",
                (_, [64, _]) => "matrix-16",
                _ => "matrix-16-narrow",
            },
        }
    }

    /// Whether matrix units multiply f32.
    pub fn wide(&self) -> bool {
        matches!(self, Self::Matrix(shares) if shares.wide)
    }

    /// The tile in registers, where it has one.
    pub fn tile(&self) -> Option<Tile> {
        match *self {
            Self::Registers(tile)
            | Self::Small(tile)
            | Self::Shuffled(tile)
            | Self::Texels(tile)
            | Self::Common(tile) => Some(tile),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn tile_mut(&mut self) -> Option<&mut Tile> {
        match self {
            Self::Registers(tile)
            | Self::Small(tile)
            | Self::Shuffled(tile)
            | Self::Texels(tile)
            | Self::Common(tile) => Some(tile),
            _ => None,
        }
    }

    /// Pixels of a workgroup, and rows of weights; none where it makes an element a thread, or goes a way of its own.
    pub fn extents(&self) -> Option<[usize; 2]> {
        match self {
            Self::Blocked(block) => Some(block.extents()),
            Self::Matrix(shares) => Some(shares.extents()),
            _ => self.tile().map(|tile| tile.extents()),
        }
    }

    /// The constants of its text.
    pub fn constants(&self) -> Vec<(&'static str, u32)> {
        let mut sizes = *self;
        let sizes: Vec<_> = sizes.sizes().into_iter().map(|(name, value)| (name, *value)).collect();
        match self {
            Self::Plain | Self::Own(_) => Vec::new(),
            Self::Blocked(_) => [&[("BLOCKED", 1)][..], &sizes, &[("BC4", BLOCK_STEP)]].concat(),
            Self::Matrix(shares) => {
                let [xl, wl] = shares.loads();
                // Matrices along the channels of a step.
                let deep = 4 * shares.step() / shares.size;
                let one = [("ONE_BUFFER", 1)];
                let one = if shares.buffers == 1 { &one[..] } else { &[] };
                let loads = [("BC4", shares.step()), ("MC", deep), ("XL", xl), ("WL", wl)];
                [&[("MATRIX", 1)][..], &sizes, &loads, one].concat()
            }
            _ => sizes,
        }
    }

    /// Gives a size another value; says whether it has one of that name.
    pub fn set(&mut self, name: &str, value: u32) -> bool {
        match self.sizes().into_iter().find(|(n, _)| *n == name) {
            Some((_, size)) => {
                *size = value;
                true
            }
            None => false,
        }
    }

    fn sizes(&mut self) -> Vec<(&'static str, &mut u32)> {
        match self {
            Self::Plain | Self::Own(_) => Vec::new(),
            Self::Registers(tile)
            | Self::Small(tile)
            | Self::Shuffled(tile)
            | Self::Texels(tile)
            | Self::Common(tile) => Tile::NAMES.into_iter().zip(tile.values()).collect(),
            Self::Blocked(block) => Block::NAMES.into_iter().zip(block.values()).collect(),
            Self::Matrix(shares) => Shares::NAMES.into_iter().zip(shares.values()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_texts_and_grids_are_made_of() {
        let tile = Tile { threads: 32, pixels: 4, times: 2, lanes: 8, step: 1 };
        let mut schedule = Schedule::Shuffled(tile);
        assert_eq!(schedule.extents(), Some([128, 16]));
        assert!(schedule.set("TP", 2) && !schedule.set("LP", 2));
        assert_eq!(schedule.constants(), [("WG", 32), ("TP", 2), ("TJ", 2), ("TL", 8), ("STEP", 1)]);
        assert_eq!(schedule.extents(), Some([64, 16]));
        let block = Schedule::Blocked(Block { threads: [16, 8], fours: [2, 1] });
        assert_eq!(block.extents(), Some([128, 32]));
        assert_eq!(Schedule::Own("quads").extents(), None);
        assert_eq!((Schedule::Own("quads").name(false), schedule.name(true)), ("quads", "subgroup-f16"));
    }
}
