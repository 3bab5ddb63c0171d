//! Running a hub as an administrator does: the real binary behind real programs.

mod acme;
mod backup;
mod certificate;
mod full;
mod nginx;
mod package;
mod restart;
mod streams;
mod supervisor;
mod units;
