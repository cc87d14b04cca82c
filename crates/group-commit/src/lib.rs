//! SQLite behind one writer thread that commits concurrent mutations together.
