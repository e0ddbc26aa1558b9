//! The table of points.

/// Declares the points: variant, name, where it is.
macro_rules! points {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A point in the life of a gateway or of a run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $(#[doc = $meaning] $variant,)*
        }

        impl Point {
            /// Every point there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the variable.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The point of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

// In the order in which a gateway and a run come to them.
points! {
    StoreFound "store.found" "The store's file is there; its tables are not looked at yet.";
    StoreOpened "store.opened" "The tables and the chain are right; nobody writes yet.";
    RecoveryBegun "recovery.begun" "What was going on in the last life is read; nothing is done.";
    RecoveryReaped "recovery.reaped" "Nothing of the last life runs; its runs are not marked.";
    RecoveryMarked "recovery.marked" "The runs of the last life are marked; no door is open.";
    Decided "run.decided" "Events are applied; the journal has not got them.";
    BeforeCommit "writer.before-commit" "Entries are written; the transaction is open.";
    AfterCommit "writer.after-commit" "Entries are durable; nobody has heard.";
    Receipt "run.receipt" "Whoever asked for a run has its receipt; nothing has begun.";
    BeforeProcess "run.before-process" "A run is about to get its process.";
    Unmarked "run.unmarked" "A run has its process, and the journal does not know which.";
    Running "run.running" "The journal knows a run's process; nobody has heard.";
    BeforeOutput "output.before" "A run has said something; the journal has not got it.";
    AfterOutput "output.after" "What a run said is durable; nobody has heard.";
    Returned "run.returned" "A run's processes are gone; its end is not decided.";
    EndUntold "run.end-untold" "A run's end is durable; nobody has heard.";
    Told "route.told" "A result was told on its route, or refused there; the journal has not got it.";
    Stopping "stop.untold" "It is durable that a run is being stopped; it has not been told.";
    ShutdownBegun "shutdown.begun" "Nothing new is taken on; no run is stopped yet.";
    ShutdownTold "shutdown.told" "Every run is being stopped in a shutdown.";
    ShutdownIdle "shutdown.idle" "No run is left in a shutdown; the process has not ended.";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::Point;

    #[test]
    fn every_point_is_found_by_its_name() {
        for point in Point::ALL {
            assert_eq!(Point::parse(point.name()), Some(*point));
        }
        assert_eq!(Point::parse("run"), None);
    }

    #[test]
    fn the_program_comes_to_every_point() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let code: String = ["store", "gateway"]
            .iter()
            .map(|name| source_below(&crates.join(name).join("src")))
            .collect();
        for point in Point::ALL {
            assert!(
                code.contains(&format!("reach(Point::{point:?})")),
                "nothing reaches {point:?}"
            );
        }
    }

    fn source_below(directory: &Path) -> String {
        let mut code = String::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                code += &source_below(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code += &std::fs::read_to_string(&path).unwrap();
            }
        }
        code
    }
}
