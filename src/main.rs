//! Arguments become a window or a headless command; nothing else happens here.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    spare_device_layer();
    dipole::commands::run(std::env::args_os())
}

/// Without a session, Mesa's layer that orders Vulkan devices for a desktop finds no compositor and tells so on the
/// terminal at every look at the adapters. Dipole orders them itself.
#[cfg(target_os = "linux")]
fn spare_device_layer() {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    // The last two are the layer's own ways to choose a device.
    if !["XDG_RUNTIME_DIR", "NODEVICE_SELECT", "DRI_PRIME", "MESA_VK_DEVICE_SELECT"].into_iter().any(is_set) {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
