//! What testers may do.

use std::path::PathBuf;
use std::time::Duration;

use belljar_testing::world::WorldClock;

use super::super::setting::{Setting, setting};
use super::super::values::{
    Bytes, Count, Files, FromText, ListOf, PathOrNone, PositiveTime, Switch, ValueParser,
};

use crate::testing::{AdapterName, FaultLine, LatencyText};

pub(super) const ROWS: &[Setting] = &[
    setting!("testing", testing_on: Switch<Option<bool>>, "testing",
        "Whether requests may ask for faults, times and worlds of their own by header. `auto`: on a loopback address, else not. See docs/testing.md."),
    setting!("test.faults", testing.faults: ListOf<Vec<FaultLine>>, "testing",
        "Faults that each world begins with, such as `status=503 rate=0.1 seed=7 path=/v1/*`."),
    setting!("test.rules", testing.rules: PathOrNone<Option<PathBuf>>, "testing",
        "A file of rules that answer in place of models, in worlds without rules of their own. See docs/rules.md.")
    .reloads(),
    setting!("test.clock", testing.clock: FromText<WorldClock>, "testing",
        "How time passes for requests that do not say: `virtual` answers at once and says when it would have."),
    setting!("test.latency", testing.latency.default: FromText<LatencyText>, "testing",
        "How long texts take, such as `ttft=200ms,itl=20ms` or `profile=mlperf-llama-2-70b`; `none`: as their models have it."),
    setting!("test.latency_rules", testing.latency.rules: ListOf<Vec<LatencyText>>, "testing",
        "How long they take for some models and keys, the first that is for a request, such as `gpt-4o*@key_0123456789abcdef ttft=2s`."),
    setting!("test.latency_profiles", testing.latency.profiles: Files<Vec<PathBuf>>, "testing",
        "TOML files of profiles besides those that come with the program."),
    setting!("test.latency_recorded", testing.latency.recorded: Files<Vec<PathBuf>>, "testing",
        "CSV files of recorded values, which distributions name as `recorded(FILE.COLUMN)`."),
    setting!("test.adapters", testing.latency.adapters: ListOf<Vec<AdapterName>>, "testing",
        "Names of models that count as adapters (LoRA) in `vllm:lora_requests_info`."),
    setting!("test.worlds_max", testing.worlds_max: Count<usize>, "testing",
        "Worlds at once, besides the one of requests that name none."),
    setting!("test.world_idle", testing.world_idle: PositiveTime<Duration>, "testing",
        "How long a world is kept that nobody uses."),
    setting!("test.journal_max", testing.journal_max: Count<usize>, "testing",
        "Requests in the journal of each world, with their bodies and answers; 0 for no journal."),
    setting!("test.journal_bytes_max", testing.journal_bytes_max: Bytes<usize>, "testing",
        "Bytes of the journal of each world; the oldest requests go first."),
    setting!("test.journal_body_max", testing.journal_body_bytes_max: Bytes<usize>, "testing",
        "Bytes of a body, or of an answer, in a journal; what is longer is cut."),
];
