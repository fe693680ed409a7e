// Checks the monitors of the Prometheus operator, which are no part of Kubernetes, against the
// schema of their kind. The manifests come as JSON, one a line.
import { createInterface } from "node:readline";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

let count = 0;
for await (const line of createInterface({ input: process.stdin })) {
  new ServiceMonitor(JSON.parse(line)).validate();
  count += 1;
}
if (count === 0) throw new Error("no monitor came");
