//! Frame interpolation with the RIFE networks: interpolator, jobs and metrics.
