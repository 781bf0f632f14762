//! The program: reads the command line and hands over to `cli`.

mod cli;

fn main() -> std::process::ExitCode {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Without a desktop session, Mesa's device-select layer asks Wayland for the session's GPU, and Wayland prints
        // an error of its own. We choose among all adapters anyway.
        // SAFETY: no other thread has been started yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
    cli::run()
}
