//! What was acknowledged is kept, whatever happens to the service: the real binary, killed, or on a disk that fails it.

mod disk;
mod kill;
mod service;
