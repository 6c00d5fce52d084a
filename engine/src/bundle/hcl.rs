//! A strict reader over HCL: typed values with their places, and an error for every key nobody asked for.
