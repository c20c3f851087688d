//! Can a window open here? Names what is missing and the package that brings it.
//!
//! winit and wgpu load their system libraries at run time, so a missing one shows only as an obscure failure deep
//! inside; asking first gives the user a sentence to act on.

/// Why no window can open; `None` when one can be tried.
#[cfg(target_os = "linux")]
pub fn obstacle() -> Option<String> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let (x11, wayland) = (set("DISPLAY"), set("WAYLAND_DISPLAY") || set("WAYLAND_SOCKET"));
    if !x11 && !wayland {
        return Some("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)".to_owned());
    }
    let mut needed = vec![("libvulkan.so.1", "libvulkan1"), ("libxkbcommon.so.0", "libxkbcommon0")];
    if wayland {
        needed.push(("libwayland-client.so.0", "libwayland-client0"));
    } else {
        needed.extend([
            ("libX11.so.6", "libx11-6"),
            ("libX11-xcb.so.1", "libx11-xcb1"),
            ("libXcursor.so.1", "libxcursor1"),
            ("libXi.so.6", "libxi6"),
            ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
        ]);
    }
    let missing: Vec<_> = needed.into_iter().filter(|(library, _)| !can_load(library)).collect();
    if missing.is_empty() {
        return None;
    }
    let libraries = missing.iter().map(|(library, _)| *library).collect::<Vec<_>>().join(", ");
    let packages = missing.iter().map(|(_, package)| *package).collect::<Vec<_>>().join(" ");
    Some(format!("the system lacks {libraries}; on Debian or Ubuntu: apt-get install {packages}"))
}

/// Why no window can open; `None` when one can be tried.
#[cfg(not(target_os = "linux"))]
pub fn obstacle() -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
fn can_load(library: &str) -> bool {
    // SAFETY: these are the system's own windowing libraries, which the window loads next in the same way; their
    // initialisers have no preconditions.
    unsafe { libloading::Library::new(library) }.is_ok()
}
