//! Files of every kind, whole and broken.
