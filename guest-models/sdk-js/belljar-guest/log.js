// Lines for the host's log, kept apart by model and request. Log no prompts: whoever runs the server
// reads them.

import * as host from "belljar:model/log@0.1.0";

/** A line that matters to who looks for a fault. */
export const trace = (message) => host.write("trace", String(message));

/** A line that matters to who writes the model. */
export const debug = (message) => host.write("debug", String(message));

/** A line that says what was done. */
export const info = (message) => host.write("info", String(message));

/** A line about what is not as it should be. */
export const warn = (message) => host.write("warn", String(message));

/** A line about what failed. */
export const error = (message) => host.write("error", String(message));
