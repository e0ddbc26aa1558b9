//! Named points at which a test can make the program die, to see what it loses when it does.
//!
//! Built with the feature `enabled`, a program that has `HATCHERY_FAILPOINT=run.receipt@3` in its
//! environment kills itself with SIGKILL when it comes to that point for the third time. It does
//! nothing else: no errors, no pauses. Without the feature, as released programs are built,
//! [`reach`] is empty and the variable means nothing.

#[cfg(feature = "enabled")]
mod armed;
mod point;

pub use point::Point;

/// The variable that names a point, and after `@` at which time it kills; the first if no time
/// is named.
pub const VARIABLE: &str = "HATCHERY_FAILPOINT";

/// The program has come to a point. Does not return if it is to die there.
#[inline(always)]
pub fn reach(point: Point) {
    #[cfg(feature = "enabled")]
    armed::reach(point);
    #[cfg(not(feature = "enabled"))]
    let _: Point = point;
}
