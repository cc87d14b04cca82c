//! What the cache adds to the store underneath, and what an event costs.
//!
//! `cargo bench -p fresh-cache --bench cost`, or `… --bench cost hit` for one of the modules. Lines to be compared stand next to
//! each other; on a machine that does other things too, compare their fastest and their median samples.

mod event;
mod hit;
mod pages;
mod resident;

fn main() {
    divan::main();
}
