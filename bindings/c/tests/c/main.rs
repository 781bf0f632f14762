//! The C interface as C has it: programs are compiled, linked to what `install.sh` lays out, and run; and as Rust can ask it, bit for
//! bit beside the library. What cannot be had here (a compiler, valgrind, CMake) is said to be left out.

mod calls;
mod common;
mod docs;
mod examples;
mod fuzz;
mod install;
mod memory;
mod misuse;
