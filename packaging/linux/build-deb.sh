#!/usr/bin/env bash
# Builds dipole_VERSION_ARCH.deb into target/packages from the release binary. The windowing libraries are loaded at
# run time, so no linker sees them: the package names them itself.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --locked --release --bin dipole
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
arch=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
target=${CARGO_TARGET_DIR:-target}

install -Dm755 "$target/release/dipole" "$root/usr/bin/dipole"
install -Dm644 packaging/linux/dipole.desktop "$root/usr/share/applications/dipole.desktop"
install -Dm644 assets/icons/dipole.svg "$root/usr/share/icons/hicolor/scalable/apps/dipole.svg"
install -Dm644 assets/icons/dipole.png "$root/usr/share/icons/hicolor/256x256/apps/dipole.png"
install -Dm644 README.md "$root/usr/share/doc/dipole/README.md"
mkdir -p "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<CONTROL
Package: dipole
Version: $version
Architecture: $arch
Maintainer: The Dipole authors <dipole@localhost>
Section: science
Priority: optional
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: libc6, libgcc-s1, libstdc++6
Recommends: libvulkan1, mesa-vulkan-drivers, libx11-6, libx11-xcb1, libxcursor1, libxi6, libxkbcommon0, libxkbcommon-x11-0, libwayland-client0
Description: make fine-tuning data safe before it reaches a model
 Dipole learns a weight for every row of a fine-tuning data set by optimal
 transport between embeddings: pulled toward a trusted reference, pushed away
 from a harmful one. A reviewer overrules it and exports the purified data with
 a record that an auditor can check. The command line needs no display.
CONTROL
mkdir -p "$target/packages"
dpkg-deb --root-owner-group --build "$root" "$target/packages/dipole_${version}_${arch}.deb"
