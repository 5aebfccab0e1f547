#!/bin/sh
# Packs a built program: an archive with completions and manual pages, and a Debian package, with their checksums.
#
#   sh packaging/package.sh BINARY ARCHITECTURE FOLDER
#   sh packaging/package.sh target/release/rife amd64 target/packages
#
# ARCHITECTURE is Debian's name: amd64 or arm64. A static program (target x86_64-unknown-linux-musl) depends on ffmpeg only.
set -eu
binary=$1 architecture=$2 folder=$3
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml" | head -n 1)
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# The tree of the package.
tree=$work/deb
install -D -m 755 "$binary" "$tree/usr/bin/rife"
RIFE_CONFIG='' "$binary" man "$tree/usr/share/man/man1"
gzip -9 -n "$tree"/usr/share/man/man1/*.1
mkdir -p "$tree/usr/share/bash-completion/completions" "$tree/usr/share/zsh/vendor-completions" \
    "$tree/usr/share/fish/vendor_completions.d"
"$binary" completions bash > "$tree/usr/share/bash-completion/completions/rife"
"$binary" completions zsh > "$tree/usr/share/zsh/vendor-completions/_rife"
"$binary" completions fish > "$tree/usr/share/fish/vendor_completions.d/rife.fish"
install -D -m 644 "$root/packaging/rife.service" "$tree/usr/lib/systemd/system/rife.service"
install -D -m 644 "$root/LICENSE-MIT" "$tree/usr/share/doc/rife/LICENSE-MIT"
install -D -m 644 "$root/LICENSE-APACHE" "$tree/usr/share/doc/rife/LICENSE-APACHE"
install -D -m 644 "$root/CHANGELOG.md" "$tree/usr/share/doc/rife/CHANGELOG.md"
printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: the rife contributors\nLicense: MIT or Apache-2.0\n See LICENSE-MIT and LICENSE-APACHE in this folder.\n' \
    > "$tree/usr/share/doc/rife/copyright"
find "$tree/usr" -type f ! -path '*/bin/*' -exec chmod 644 {} +
find "$tree" -type d -exec chmod 755 {} +

# The archive has the same files below one folder.
name=rife-$version-linux-$architecture
mkdir "$work/$name"
cp -r "$tree/usr/." "$work/$name"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -czf "$folder/$name.tar.gz" "$name"

if ldd "$binary" 2>&1 | grep -q 'not a dynamic executable\|statically linked'; then
    depends='ffmpeg'
else
    depends="libc6 (>= $(objdump -T "$binary" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)), libgcc-s1, ffmpeg"
fi
mkdir "$tree/DEBIAN"
cat > "$tree/DEBIAN/control" <<CONTROL
Package: rife
Version: $version
Architecture: $architecture
Maintainer: the rife contributors <rife@localhost>
Section: video
Priority: optional
Depends: $depends
Recommends: libvulkan1
Homepage: $(sed -n 's/^repository = "\(.*\)"/\1/p' "$root/Cargo.toml")
Installed-Size: $(du -sk "$tree/usr" | cut -f 1)
Description: video frame interpolation with the RIFE networks
 Raises the frame rate of videos, or turns them to slow motion, on the
 command line, in a page that the program serves, and by an HTTP API.
CONTROL
(cd "$tree" && find usr -type f -exec md5sum {} + | sort -k 2 > DEBIAN/md5sums)
dpkg-deb --root-owner-group --build "$tree" "$folder/rife_${version}_$architecture.deb" > /dev/null
(cd "$folder" && sha256sum "$name.tar.gz" "rife_${version}_$architecture.deb" > "SHA256SUMS-$architecture")
ls -l "$folder"
