//! Named places at which a crash test ends the process, so that every gap between two writes can be tried.
//!
//! With the feature `failpoints` the environment variable `COTA_FAILPOINT` names one: `after-accept-commit`, or
//! `after-accept-commit:3` for the third time it is passed. Without the feature a failpoint is nothing at all.

/// Ends the process at once, as `kill -9` would, if the environment asks for it here and now.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) {
    if armed().is_some_and(|armed| armed.is_hit(name)) {
        std::process::abort();
    }
}

/// Does nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_name: &str) {}

#[cfg(feature = "failpoints")]
#[derive(Debug)]
struct Armed {
    name: String,
    on: u64,
    hits: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "failpoints")]
impl Armed {
    fn parse(setting: &str) -> Self {
        let counted = setting.rsplit_once(':').and_then(|(name, on)| Some((name, on.parse().ok()?)));
        let (name, on) = counted.unwrap_or((setting, 1));
        Self { name: name.to_owned(), on, hits: std::sync::atomic::AtomicU64::new(0) }
    }

    fn is_hit(&self, name: &str) -> bool {
        self.name == name && self.hits.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == self.on
    }
}

#[cfg(feature = "failpoints")]
fn armed() -> Option<&'static Armed> {
    static ARMED: std::sync::OnceLock<Option<Armed>> = std::sync::OnceLock::new();
    ARMED.get_or_init(|| std::env::var("COTA_FAILPOINT").ok().map(|setting| Armed::parse(&setting))).as_ref()
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    #[test]
    fn the_nth_pass_is_the_hit() {
        let armed = Armed::parse("after-accept-commit:2");
        let hits: Vec<bool> =
            ["after-accept-commit", "other", "after-accept-commit", "after-accept-commit"].iter().map(|name| armed.is_hit(name)).collect();
        assert_eq!(hits, [false, false, true, false]);
        assert!(Armed::parse("plain").is_hit("plain"));
    }
}
