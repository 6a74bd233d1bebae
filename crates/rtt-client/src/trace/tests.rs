//! Scripted packets, and the roles that they must have.
