//! Writes a tree into a directory.
