//! Names of models that stand for adapters (LoRA), and which of them are at work: one line of the
//! metrics whose labels change with them, as vLLM has it.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of the line.
const NAME: &str = "vllm:lora_requests_info";

static ADAPTERS: Mutex<Adapters> = Mutex::new(Adapters {
    max: 0,
    running: BTreeMap::new(),
    waiting: BTreeMap::new(),
    changed_s: 0.0,
});

struct Adapters {
    /// Names that there are.
    max: usize,
    running: BTreeMap<String, usize>,
    waiting: BTreeMap<String, usize>,
    /// When they changed last, since 1970.
    changed_s: f64,
}

/// An answer of an adapter: it waits, then it runs, and when this is dropped it is over.
#[derive(Debug)]
pub struct AdapterUse {
    name: String,
    runs: Mutex<bool>,
}

/// Says how many names stand for adapters.
pub fn set_adapters(count: usize) {
    ADAPTERS.lock().change(|adapters| adapters.max = count);
}

impl Adapters {
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.changed_s = now.unwrap_or_default().as_secs_f64();
    }
}

fn enter(uses: &mut BTreeMap<String, usize>, name: &str) {
    *uses.entry(name.to_owned()).or_default() += 1;
}

fn leave(uses: &mut BTreeMap<String, usize>, name: &str) {
    if let Some(count) = uses.get_mut(name) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            uses.remove(name);
        }
    }
}

impl AdapterUse {
    /// One that waits.
    #[must_use]
    pub fn waiting(name: &str) -> Self {
        ADAPTERS.lock().change(|of| enter(&mut of.waiting, name));
        Self {
            name: name.to_owned(),
            runs: Mutex::new(false),
        }
    }

    /// From now on it runs.
    pub fn begin(&self) {
        let mut runs = self.runs.lock();
        if !std::mem::replace(&mut *runs, true) {
            ADAPTERS.lock().change(|of| {
                leave(&mut of.waiting, &self.name);
                enter(&mut of.running, &self.name);
            });
        }
    }
}

impl Drop for AdapterUse {
    fn drop(&mut self) {
        let runs = *self.runs.get_mut();
        ADAPTERS.lock().change(|of| match runs {
            true => leave(&mut of.running, &self.name),
            false => leave(&mut of.waiting, &self.name),
        });
    }
}

/// The line, with its head; nothing where no name stands for an adapter.
pub(super) fn render(out: &mut String) {
    let adapters = ADAPTERS.lock();
    if adapters.max == 0 {
        return;
    }
    let names = |uses: &BTreeMap<String, usize>| {
        let names: Vec<_> = uses.keys().map(String::as_str).collect();
        names.join(",")
    };
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "# HELP {NAME} Adapters that run and that wait; the value is when that changed last.\n\
         # TYPE {NAME} gauge\n\
         {NAME}{{max_lora=\"{}\",running_lora_adapters=\"{}\",waiting_lora_adapters=\"{}\"}} {}\n\n",
        adapters.max,
        names(&adapters.running),
        names(&adapters.waiting),
        adapters.changed_s,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_those_that_run_and_those_that_wait_now() {
        let line = || {
            let mut out = String::new();
            render(&mut out);
            let line = out.lines().find(|line| line.starts_with(NAME));
            line.unwrap_or_default().to_owned()
        };
        assert_eq!(line(), "");
        set_adapters(2);
        let (one, other) = (AdapterUse::waiting("sql"), AdapterUse::waiting("legal"));
        one.begin();
        one.begin();
        let labels = r#"{max_lora="2",running_lora_adapters="sql",waiting_lora_adapters="legal"}"#;
        assert!(line().contains(labels), "{}", line());
        drop(other);
        let again = AdapterUse::waiting("sql");
        again.begin();
        drop(one);
        let labels = r#"running_lora_adapters="sql",waiting_lora_adapters=""}"#;
        assert!(line().contains(labels), "{}", line());
        drop(again);
        assert!(line().contains(r#"running_lora_adapters="""#), "{}", line());
        set_adapters(0);
    }
}
