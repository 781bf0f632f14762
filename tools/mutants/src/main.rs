//! Puts all mutants that `cargo mutants --list --json` names into the sources at once, each behind a switch:
//! `mutants LIST.json LEFT_OUT.txt ROOT`. What is active then is a number in the environment (`src/switch.rs`), and
//! thousands of mutants take one build.
//!
//! Operands are computed once, whichever operator is active, and in the order in which they stand; only `&&`, `||` and
//! assignments repeat their right side. Not switched: struct fields left out, conditions with `let`, constants.

use std::collections::{BTreeMap, HashMap, HashSet};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, ExprBinary, ImplItemFn, ItemConst, ItemFn, ItemStatic, Stmt, parse_quote};

type Place = (usize, usize);

/// The mutants of one file, by kind and where they begin: number and replacement.
#[derive(Default)]
struct Mutants {
    at: HashMap<(&'static str, Place), Vec<(u32, String)>>,
    placed: Vec<u32>,
}

fn place(span: Span) -> Place {
    (span.start().line, span.start().column + 1)
}

impl Mutants {
    fn take(&mut self, kind: &'static str, span: Span) -> Vec<(u32, TokenStream)> {
        let found = self.at.remove(&(kind, place(span))).unwrap_or_default();
        self.placed.extend(found.iter().map(|f| f.0));
        found.into_iter().map(|(n, text)| (n, text.parse().expect("tokens"))).collect()
    }

    fn body(&mut self, block: &mut Block) {
        let Some(first) = block.stmts.first() else { return };
        for (n, value) in self.take("FnValue", first.span()) {
            let early: Stmt = parse_quote!(if crate::switch::on(#n) { return #value; });
            block.stmts.insert(0, early);
        }
    }
}

fn has_let(e: &Expr) -> bool {
    match e {
        Expr::Let(_) => true,
        Expr::Binary(b) => has_let(&b.left) || has_let(&b.right),
        _ => false,
    }
}

impl VisitMut for Mutants {
    fn visit_item_const_mut(&mut self, _: &mut ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut ItemStatic) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}
    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}
    fn visit_expr_repeat_mut(&mut self, e: &mut syn::ExprRepeat) {
        self.visit_expr_mut(&mut e.expr);
    }

    fn visit_item_fn_mut(&mut self, f: &mut ItemFn) {
        if f.sig.constness.is_none() {
            visit_mut::visit_item_fn_mut(self, f);
            self.body(&mut f.block);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, f: &mut ImplItemFn) {
        if f.sig.constness.is_none() {
            visit_mut::visit_impl_item_fn_mut(self, f);
            self.body(&mut f.block);
        }
    }

    fn visit_trait_item_fn_mut(&mut self, f: &mut syn::TraitItemFn) {
        visit_mut::visit_trait_item_fn_mut(self, f);
        if let Some(block) = &mut f.default {
            self.body(block);
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let whole = self.take("MatchArm", arm.span());
        let guards = arm.guard.as_ref().map(|g| self.take("MatchArmGuard", g.1.span())).unwrap_or_default();
        visit_mut::visit_arm_mut(self, arm);
        for (n, value) in guards {
            let (_, guard) = arm.guard.as_mut().expect("a guard");
            **guard = parse_quote!((if crate::switch::on(#n) { #value } else { #guard }));
        }
        for (n, _) in whole {
            match &mut arm.guard {
                Some((_, guard)) => **guard = parse_quote!((!crate::switch::on(#n) && (#guard))),
                None => arm.guard = Some((Default::default(), Box::new(parse_quote!(!crate::switch::on(#n))))),
            }
        }
    }

    fn visit_expr_mut(&mut self, e: &mut Expr) {
        let unary = if let Expr::Unary(u) = e { self.take("UnaryOperator", u.op.span()) } else { Vec::new() };
        let binary = match e {
            Expr::Binary(b) if !(has_let(&b.left) || has_let(&b.right)) => self.take("BinaryOperator", b.op.span()),
            _ => Vec::new(),
        };
        visit_mut::visit_expr_mut(self, e);
        if let (Expr::Unary(u), false) = (&*e, unary.is_empty()) {
            let (op, x, n) = (&u.op, &u.expr, unary[0].0);
            *e = parse_quote!((match #x { __x => if crate::switch::on(#n) { __x } else { #op __x } }));
        } else if let (Expr::Binary(b), false) = (&*e, binary.is_empty()) {
            *e = switched(b, binary);
        }
    }
}

fn switched(b: &ExprBinary, others: Vec<(u32, TokenStream)>) -> Expr {
    let ExprBinary { left, op, right, .. } = b;
    let choose = |l: TokenStream, r: TokenStream| {
        others.iter().fold(
            quote!(#l #op #r),
            |rest, (n, other)| quote!(if crate::switch::on(#n) { #l #other #r } else { #rest }),
        )
    };
    let chosen;
    match op {
        BinOp::And(_) | BinOp::Or(_) => {
            chosen = choose(quote!(__l), quote!(#right));
            parse_quote!((match #left { __l => #chosen }))
        }
        BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => {
            chosen = choose(quote!((*__l)), quote!((*__r)));
            parse_quote!((match (&(#left), &(#right)) { (__l, __r) => #chosen }))
        }
        BinOp::Add(_)
        | BinOp::Sub(_)
        | BinOp::Mul(_)
        | BinOp::Div(_)
        | BinOp::Rem(_)
        | BinOp::BitXor(_)
        | BinOp::BitAnd(_)
        | BinOp::BitOr(_)
        | BinOp::Shl(_)
        | BinOp::Shr(_) => {
            chosen = choose(quote!(__l), quote!(__r));
            parse_quote!((match (#left, #right) { (__l, __r) => #chosen }))
        }
        _ => {
            chosen = choose(quote!(#left), quote!(#right));
            parse_quote!({ #chosen })
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, list, left_out, root] = &args[..] else { panic!("mutants LIST.json LEFT_OUT.txt ROOT") };
    let list: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(list).expect("the list")).expect("JSON");
    let left_out = std::fs::read_to_string(left_out).unwrap_or_default();
    let left_out: HashSet<u32> = left_out.split_whitespace().map(|n| n.parse().expect("a number")).collect();
    let mut files: BTreeMap<String, Mutants> = BTreeMap::new();
    for (n, m) in list.as_array().expect("an array").iter().enumerate() {
        let text = |v: &serde_json::Value| v.as_str().expect("text").to_string();
        let number = |v: &serde_json::Value| v.as_u64().expect("a number") as usize;
        let kind = match m["genre"].as_str().expect("a kind") {
            "FnValue" => "FnValue",
            "BinaryOperator" => "BinaryOperator",
            "UnaryOperator" => "UnaryOperator",
            "MatchArm" => "MatchArm",
            "MatchArmGuard" => "MatchArmGuard",
            _ => continue,
        };
        if !left_out.contains(&(n as u32)) {
            let start = &m["span"]["start"];
            let at = (number(&start["line"]), number(&start["column"]));
            let mutants = files.entry(text(&m["file"])).or_default();
            mutants.at.entry((kind, at)).or_default().push((n as u32, text(&m["replacement"])));
        }
    }
    let mut placed = Vec::new();
    for (file, mut mutants) in files {
        let path = format!("{root}/{file}");
        let mut parsed = syn::parse_file(&std::fs::read_to_string(&path).expect("a source")).expect("Rust");
        mutants.visit_file_mut(&mut parsed);
        std::fs::write(&path, quote!(#parsed).to_string()).expect("written");
        for ((kind, at), left) in mutants.at {
            eprintln!("{file}:{at:?}: not placed: {kind}, {left:?}");
        }
        placed.extend(mutants.placed);
    }
    placed.sort_unstable();
    println!("{}", placed.iter().map(u32::to_string).collect::<Vec<_>>().join("\n"));
}
