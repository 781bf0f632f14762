//! Barriers stand where all threads of a workgroup pass together, by construction and not by luck: where flow may differ,
//! FXC, which DX12 falls back to, refuses a text (X3663), and elsewhere it is undefined what happens.
//!
//! Followed is what may differ between the threads of a workgroup: values, by their operands, stores and the flow they
//! are stored under; flow, by its conditions and by who has left. WGSL's own analysis is the model, but two things are
//! stricter. Memory of the workgroup differs unless `workgroupUniformLoad` reads it. And in a loop that holds a barrier, an
//! inner loop that all threads enter must turn equally often for all: FXC takes the barriers for divergent beside one that
//! does not.

use std::collections::{BTreeMap, BTreeSet};

use naga::{
    AddressSpace, Block, BuiltIn, Expression, Function, Handle, Module, Span, Statement, StorageAccess, TypeInner,
};

use crate::shaders::units;

/// The two kinds of faults.
const BARRIER: &str = "a barrier where threads may differ";
const LOOP: &str = "a loop beside barriers that threads may leave at different turns";

/// Looks through a module; the faults found, with where they are in the text.
struct Walk<'a> {
    module: &'a Module,
    faults: BTreeSet<(usize, &'static str)>,
    text: &'a str,
}

/// A function in one of its calls. True stands for "may differ"; nothing ever becomes false again.
#[derive(Clone, PartialEq)]
struct Frame {
    /// Of pointers: what they point to.
    args: Vec<bool>,
    locals: Vec<bool>,
    /// By expression; of pointers: the address.
    values: Vec<bool>,
    /// Loops and switches that threads may leave apart, by where their first block lies.
    uneven: BTreeSet<*const Block>,
    gives: bool,
}

/// Where a statement stands.
#[derive(Clone)]
struct Place {
    /// Under a condition that may differ.
    varies: bool,
    /// In a loop that holds a barrier, here or in a caller.
    beside: bool,
    /// The loops (true) and switches around it, outermost first.
    around: Vec<(bool, *const Block)>,
}

/// The variable or argument that a pointer leads into.
enum Root {
    Local(usize),
    Argument(usize),
    Global(Handle<naga::GlobalVariable>),
}

fn root(function: &Function, pointer: Handle<Expression>) -> Option<Root> {
    match function.expressions[pointer] {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => root(function, base),
        Expression::LocalVariable(v) => Some(Root::Local(v.index())),
        Expression::FunctionArgument(i) => Some(Root::Argument(i as usize)),
        Expression::GlobalVariable(v) => Some(Root::Global(v)),
        _ => None,
    }
}

/// Whether a block holds a barrier, itself or in what it calls.
fn holds(module: &Module, block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => true,
        Statement::Block(block) => holds(module, block),
        Statement::If { accept, reject, .. } => holds(module, accept) || holds(module, reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| holds(module, &case.body)),
        Statement::Loop { body, continuing, .. } => holds(module, body) || holds(module, continuing),
        Statement::Call { function, .. } => holds(module, &module.functions[*function].body),
        _ => false,
    })
}

impl Walk<'_> {
    fn fault(&mut self, what: &'static str, span: Span) {
        let line = span.location(self.text).line_number as usize;
        self.faults.insert((line, what));
    }

    /// A call: whether its result may differ, and what the arguments' pointers then lead to.
    fn call(&mut self, function: &Function, args: Vec<bool>, varies: bool, beside: bool) -> (bool, Vec<bool>) {
        let mut frame = Frame {
            args,
            locals: vec![false; function.local_variables.len()],
            values: vec![false; function.expressions.len()],
            uneven: BTreeSet::new(),
            gives: false,
        };
        loop {
            let before = frame.clone();
            for (handle, expression) in function.expressions.iter() {
                frame.values[handle.index()] |= self.value(function, &frame, expression);
            }
            let place = Place { varies, beside, around: Vec::new() };
            self.block(function, &mut frame, &function.body, &place, &mut false);
            if frame == before {
                return (frame.gives, frame.args);
            }
        }
    }

    fn is_pointer(&self, function: &Function, argument: usize) -> bool {
        let ty = &self.module.types[function.arguments[argument].ty];
        matches!(ty.inner, TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. })
    }

    /// Whether what lies behind a pointer may differ.
    fn behind(&self, function: &Function, frame: &Frame, pointer: Handle<Expression>) -> bool {
        let differs = match root(function, pointer) {
            Some(Root::Local(i)) => frame.locals[i],
            Some(Root::Argument(i)) => frame.args[i],
            Some(Root::Global(v)) => match self.module.global_variables[v].space {
                AddressSpace::Uniform => false,
                AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
                _ => true,
            },
            None => true,
        };
        differs || frame.values[pointer.index()]
    }

    fn value(&self, function: &Function, frame: &Frame, expression: &Expression) -> bool {
        let of = |h: &Handle<Expression>| frame.values[h.index()];
        let any = |list: &[Option<Handle<Expression>>]| list.iter().flatten().any(of);
        match expression {
            Expression::Literal(_) | Expression::Constant(_) | Expression::Override(_) | Expression::ZeroValue(_) => {
                false
            }
            Expression::GlobalVariable(_) | Expression::LocalVariable(_) | Expression::ArrayLength(_) => false,
            Expression::FunctionArgument(i) => !self.is_pointer(function, *i as usize) && frame.args[*i as usize],
            Expression::Compose { components, .. } => components.iter().any(of),
            Expression::Access { base, index } => of(base) || of(index),
            Expression::AccessIndex { base: value, .. }
            | Expression::Splat { value, .. }
            | Expression::Swizzle { vector: value, .. }
            | Expression::Unary { expr: value, .. }
            | Expression::Relational { argument: value, .. }
            | Expression::As { expr: value, .. } => of(value),
            Expression::Load { pointer } => self.behind(function, frame, *pointer),
            Expression::ImageLoad { coordinate, array_index, sample, level, .. } => {
                any(&[Some(*coordinate), *array_index, *sample, *level])
            }
            Expression::ImageQuery { .. } => false,
            Expression::Binary { left, right, .. } => of(left) || of(right),
            Expression::Select { condition, accept, reject } => of(condition) || of(accept) || of(reject),
            Expression::Math { arg, arg1, arg2, arg3, .. } => any(&[Some(*arg), *arg1, *arg2, *arg3]),
            // What statements give; `Walk::block` says so.
            Expression::CallResult(_) | Expression::WorkGroupUniformLoadResult { .. } => false,
            // Atomics, subgroups, matrices, and what there will be.
            _ => true,
        }
    }

    /// What is stored there may differ from now on.
    fn spoil(&self, function: &Function, frame: &mut Frame, pointer: Handle<Expression>) {
        match root(function, pointer) {
            Some(Root::Local(i)) => frame.locals[i] = true,
            Some(Root::Argument(i)) => frame.args[i] = true,
            // Differs anyway, if it can be written at all.
            Some(Root::Global(_)) | None => {}
        }
    }

    /// `returned`: whether some threads may have left the function.
    fn block(&mut self, function: &Function, frame: &mut Frame, block: &Block, place: &Place, returned: &mut bool) {
        for (statement, span) in block.span_iter() {
            let left = place.around.iter().any(|(_, first)| frame.uneven.contains(first));
            let varies = place.varies || *returned || left;
            let under = |condition: bool| Place { varies: place.varies || condition, ..place.clone() };
            match statement {
                Statement::ControlBarrier(_) if varies => self.fault(BARRIER, *span),
                Statement::WorkGroupUniformLoad { pointer, .. } if varies || frame.values[pointer.index()] => {
                    self.fault(BARRIER, *span);
                }
                Statement::Block(block) => self.block(function, frame, block, place, returned),
                Statement::If { condition, accept, reject } => {
                    let inner = under(frame.values[condition.index()]);
                    let mut also = *returned;
                    self.block(function, frame, accept, &inner, returned);
                    self.block(function, frame, reject, &inner, &mut also);
                    *returned |= also;
                }
                Statement::Switch { selector, cases } => {
                    let mut inner = under(frame.values[selector.index()]);
                    let Some(first) = cases.first() else { continue };
                    inner.around.push((false, &raw const first.body));
                    for case in cases {
                        self.block(function, frame, &case.body, &inner, returned);
                    }
                }
                Statement::Loop { body, continuing, break_if } => {
                    let mut inner = place.clone();
                    inner.beside |= holds(self.module, body) || holds(self.module, continuing);
                    inner.around.push((true, &raw const *body));
                    self.block(function, frame, body, &inner, returned);
                    self.block(function, frame, continuing, &inner, returned);
                    if break_if.is_some_and(|c| frame.values[c.index()]) {
                        frame.uneven.insert(body);
                    }
                    if place.beside && !varies && frame.uneven.contains(&(&raw const *body)) {
                        self.fault(LOOP, *span);
                    }
                }
                Statement::Break if varies => frame.uneven.extend(place.around.last().map(|l| l.1)),
                Statement::Continue if varies => {
                    let innermost = place.around.iter().rev().find(|l| l.0);
                    frame.uneven.extend(innermost.map(|l| l.1));
                }
                Statement::Return { value } => {
                    frame.gives |= varies || value.is_some_and(|v| frame.values[v.index()]);
                    if varies {
                        *returned = true;
                        frame.uneven.extend(place.around.iter().map(|l| l.1));
                    }
                }
                Statement::Store { pointer, value }
                    if varies || frame.values[value.index()] || frame.values[pointer.index()] =>
                {
                    self.spoil(function, frame, *pointer);
                }
                Statement::Call { function: callee, arguments, result } => {
                    let module = self.module;
                    let callee = &module.functions[*callee];
                    let args = arguments.iter().enumerate().map(|(i, h)| match self.is_pointer(callee, i) {
                        true => self.behind(function, frame, *h),
                        false => frame.values[h.index()],
                    });
                    let args = args.collect();
                    let (gives, after) = self.call(callee, args, varies, place.beside);
                    for (i, h) in arguments.iter().enumerate() {
                        if after[i] && self.is_pointer(callee, i) {
                            self.spoil(function, frame, *h);
                        }
                    }
                    if let Some(result) = result {
                        frame.values[result.index()] |= gives;
                    }
                }
                _ => {}
            }
        }
    }
}

/// The faults of a module: the lines of its text, and what is there.
fn faults(module: &Module, text: &str) -> Vec<(usize, &'static str)> {
    let mut walk = Walk { module, faults: BTreeSet::new(), text };
    for entry in &module.entry_points {
        let same = |b: BuiltIn| {
            use BuiltIn::{NumSubgroups, NumWorkGroups, SubgroupSize, WorkGroupId, WorkGroupSize};
            matches!(b, NumSubgroups | NumWorkGroups | SubgroupSize | WorkGroupId | WorkGroupSize)
        };
        let args = entry.function.arguments.iter().map(|a| match a.binding {
            Some(naga::Binding::BuiltIn(b)) => !same(b),
            _ => true,
        });
        walk.call(&entry.function, args.collect(), false, false);
    }
    walk.faults.into_iter().collect()
}

/// Where a loop beside barriers may turn differently: the carry of blocks' channels to the next tap, which FXC takes as it
/// is. Made even, it would cost every step of every product a division.
const CARRY: &str = "shared/blocked";

/// Of every text that there is. Those with matrices may have loops beside barriers that threads leave at different turns:
/// that is FXC's weakness, and naga's DX12 has no matrices.
#[test]
fn all_threads_of_a_workgroup_pass_every_barrier_together() {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut with = 0;
    for unit in units() {
        with += usize::from(unit.module.entry_points.iter().any(|e| holds(&unit.module, &e.function.body)));
        for (line, what) in faults(&unit.module, &unit.text.text) {
            let (file, line) = &unit.text.lines[line - 1];
            if what == LOOP && (unit.variant.matrices || file == CARRY) {
                continue;
            }
            wrong.entry(format!("shaders/{file}.wgsl:{line}: {what}")).or_default().push(unit.label());
        }
    }
    assert!(with > 100, "only {with} texts with barriers: is it the right module?");
    let list = |(what, labels): (&String, &Vec<String>)| format!("{what}\n  in {} texts: {}", labels.len(), labels[0]);
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.iter().map(list).collect::<Vec<_>>().join("\n"));
}

/// What the walk is to find, and what it is to let pass. `B` is a barrier.
#[test]
fn flow_that_differs_is_found_and_flow_that_does_not_is_let_pass() {
    let before = "
        @group(0) @binding(0) var<uniform> p: vec4<u32>;
        @group(0) @binding(1) var<storage, read> x: array<u32>;
        @group(0) @binding(2) var<storage, read_write> y: array<u32>;
        var<workgroup> shared_n: u32;
        fn own(n: u32, t: u32) -> u32 { if t > n { return 1u; } return 2u; }
        fn together(n: u32) -> u32 { if n > 3u { return 1u; } return 2u; }
        fn put(to: ptr<function, u32>, v: u32) { *to = v; }
        fn bar() { workgroupBarrier(); }
        @compute @workgroup_size(64)
        fn main(@builtin(workgroup_id) w: vec3<u32>, @builtin(local_invocation_index) t: u32) {";
    let cases = [
        ("B", None),
        ("if t == 0u { B }", Some(BARRIER)),
        ("if w.x == 0u { B }", None),
        ("if t == 0u { return; } B", Some(BARRIER)),
        ("if p.x == 0u { return; } B", None),
        ("if x[w.x] == 0u { return; } B", None),
        ("if x[t] == 0u { return; } B", Some(BARRIER)),
        ("if y[w.x] == 0u { return; } B", Some(BARRIER)),
        ("if shared_n == 0u { return; } B", Some(BARRIER)),
        ("if workgroupUniformLoad(&shared_n) == 0u { return; } B", None),
        ("if t == 0u { shared_n = workgroupUniformLoad(&shared_n); }", Some(BARRIER)),
        ("for (var i = 0u; i < p.x; i++) { B }", None),
        ("for (var i = t; i < p.x; i += 64u) { B }", Some(BARRIER)),
        ("for (var i = 0u; i < p.x; i++) { B if x[i + t] == 0u { break; } }", Some(BARRIER)),
        ("for (var i = 0u; i < p.x; i++) { if x[i + t] == 0u { continue; } B }", Some(BARRIER)),
        ("for (var i = 0u; i < p.x; i++) { if x[i + t] == 0u { break; } } B", None),
        ("for (var i = 0u; i < p.x; i++) { if x[i + t] == 0u { return; } } B", Some(BARRIER)),
        ("for (var i = t; i < p.x; i += 64u) { y[i] = i; } B", None),
        ("var a = 0u; for (var i = t; i < p.x; i += 64u) { a++; } if a == 0u { B }", Some(BARRIER)),
        ("var a = 0u; if t == 0u { a = 1u; } if a == 0u { B }", Some(BARRIER)),
        ("var a = 0u; if p.x == 0u { a = 1u; } if a == 0u { B }", None),
        // What differs only by a later turn.
        ("var a = 0u; for (var i = 0u; i < p.x; i++) { if a > 0u { B } a = t; }", Some(BARRIER)),
        ("if own(p.x, t) == 1u { B }", Some(BARRIER)),
        ("if together(p.x) == 1u { B }", None),
        ("if together(t) == 1u { B }", Some(BARRIER)),
        ("var a = 0u; put(&a, t); if a == 0u { B }", Some(BARRIER)),
        ("var a = 0u; put(&a, w.x); if a == 0u { B }", None),
        ("if t == 0u { bar(); }", Some(BARRIER)),
        ("switch t { case 0u: { B } default: {} }", Some(BARRIER)),
        ("switch p.x { case 0u: { B } default: {} }", None),
        ("switch p.x { case 0u: { if t == 0u { break; } B } default: {} }", Some(BARRIER)),
        ("loop { B continuing { break if t == 0u; } }", Some(BARRIER)),
        ("for (var i = 0u; i < p.x; i++) { B for (var j = t; j < p.y; j += 64u) { y[j] = i; } }", Some(LOOP)),
        ("for (var i = 0u; i < p.x; i++) { bar(); for (var j = t; j < p.y; j += 64u) { y[j] = i; } }", Some(LOOP)),
        ("for (var i = 0u; i < p.x; i++) { B for (var j = 0u; j < p.y; j++) { if j == t { break; } } }", Some(LOOP)),
        ("for (var i = 0u; i < p.x; i++) { B for (var j = 0u; j < p.y; j += 64u) { y[j + t] = i; } }", None),
        // A thread alone may do as it likes.
        ("for (var i = 0u; i < p.x; i++) { B if t == 0u { var j = 0u; while y[j] > 0u { j++; } } }", None),
    ];
    for (body, want) in cases {
        let words: Vec<&str> = body.split(' ').map(|w| if w == "B" { "workgroupBarrier();" } else { w }).collect();
        let text = format!("{before}\n{}\n}}", words.join(" "));
        let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
        let found: BTreeSet<&str> = faults(&module, &text).into_iter().map(|f| f.1).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), want.into_iter().collect::<Vec<_>>(), "{body}");
    }
}
