"""Event files and their lines: found, unpacked, cut into lines, and read exactly."""
