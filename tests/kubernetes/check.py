"""What holds for each set of manifests, beyond their schemas.

    check.py BELLJAR FILE…

Each file has a whole set. The pod is one that the strictest policy of Kubernetes ("restricted")
lets in, what is meant to find it does, and the server takes the settings that it is given.
"""

import json
import os
import subprocess
import sys
import tempfile

import yaml

MOUNT = "/etc/belljar/belljar.toml"


def is_part(labels, of):
    return bool(labels) and labels.items() <= of.items()


class Manifests:
    def __init__(self, path):
        self.path = path
        with open(path) as file:
            self.all = [document for document in yaml.safe_load_all(file) if document]

    def of(self, kind):
        return [document for document in self.all if document["kind"] == kind]

    def one(self, kind):
        found = self.of(kind)
        self.must(len(found) == 1, f"{len(found)} of {kind}")
        return found[0]

    def must(self, holds, what):
        if not holds:
            sys.exit(f"{self.path}: {what}")

    def check(self, belljar):
        stateful = self.one("StatefulSet")
        template = stateful["spec"]["template"]
        labels, pod = template["metadata"]["labels"], template["spec"]
        self.must(stateful["spec"]["replicas"] == 1, "a data directory has one server")
        selector = stateful["spec"]["selector"]["matchLabels"]
        self.must(is_part(selector, labels), "the set does not find its pod")
        self.check_restricted(pod)
        container = pod["containers"][0]
        ports = {port["name"] for port in container["ports"]}
        self.check_probes(container, ports)
        self.check_finders(labels, ports)
        self.check_volumes(stateful["spec"], pod, container)
        self.check_settings(belljar, pod, container)

    def check_restricted(self, pod):
        own = pod["securityContext"]
        self.must(own["runAsNonRoot"] and own["runAsUser"] >= 1000, "it may be root")
        self.must(own["seccompProfile"]["type"] == "RuntimeDefault", "no filter of calls")
        self.must(pod["automountServiceAccountToken"] is False, "it is given a token")
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            self.must(name not in pod, name)
        self.must(len(pod["containers"]) == 1, "another container than is looked at")
        for volume in pod.get("volumes", []):
            kinds = volume.keys() - {"name"}
            may = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
            self.must(kinds <= may, f"a volume of the kind {kinds}")
        context = pod["containers"][0]["securityContext"]
        self.must(context["allowPrivilegeEscalation"] is False, "it may get privileges")
        self.must(context["capabilities"] == {"drop": ["ALL"]}, "it has capabilities")
        self.must(context["readOnlyRootFilesystem"], "its root can be written")
        self.must("memory" in pod["containers"][0]["resources"]["limits"], "no limit of memory")

    def check_probes(self, container, ports):
        for name, path in (
            ("startupProbe", "live"),
            ("livenessProbe", "live"),
            ("readinessProbe", "ready"),
        ):
            probe = container[name]
            if "exec" in probe:
                command = ["/usr/local/bin/belljar", "health"]
                command += ["--live"] if path == "live" else []
                self.must(probe["exec"]["command"] == command, name)
                continue
            get = probe["httpGet"]
            self.must(get["path"] == f"/health/{path}", name)
            self.must(get["port"] in ports, f"{name}: no port {get['port']}")
            has_tls = any(e["name"] == "BELLJAR_TLS_CERT" for e in container["env"])
            self.must((get.get("scheme") == "HTTPS") == has_tls, f"{name}: the scheme")

    def check_finders(self, labels, ports):
        services = self.of("Service")
        for service in services:
            spec = service["spec"]
            self.must(is_part(spec["selector"], labels), "a service finds no pod")
            for port in spec["ports"]:
                self.must(port["targetPort"] in ports, f"no port {port['targetPort']}")
        for budget in self.of("PodDisruptionBudget"):
            found = budget["spec"]["selector"]["matchLabels"]
            self.must(is_part(found, labels), "the budget is of another pod")
        for policy in self.of("NetworkPolicy"):
            spec = policy["spec"]
            found = spec["podSelector"]["matchLabels"]
            self.must(is_part(found, labels), "the policy is of another pod")
            self.must(spec["policyTypes"] == ["Ingress", "Egress"], "half a policy")
            for rule in spec.get("ingress") or []:
                self.must(rule.get("from"), "a rule lets everybody in")
                for port in rule["ports"]:
                    self.must(port["port"] in ports, f"no port {port['port']}")
        for monitor in self.of("ServiceMonitor"):
            wanted = monitor["spec"]["selector"]["matchLabels"]
            endpoint = monitor["spec"]["endpoints"][0]["port"]
            self.must(
                any(
                    is_part(wanted, service["metadata"]["labels"])
                    and any(port["name"] == endpoint for port in service["spec"]["ports"])
                    for service in services
                ),
                "the monitor finds no service",
            )

    def check_volumes(self, spec, pod, container):
        there = {volume["name"] for volume in pod.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        self.must(not there & claims, "two volumes of one name")
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self.must(mounted.keys() == there | claims, "a volume that is not there, or not used")
        self.must(mounted["data"] == "/data", "the image keeps its data in /data")

    def check_settings(self, belljar, pod, container):
        environment = {
            # Those of the image.
            "BELLJAR_DATA_DIR": "/data/belljar",
            "BELLJAR_LISTEN": "0.0.0.0:8000",
        }
        for entry in container["env"]:
            # The content of secrets is not here; a setting of that name has to be.
            environment[entry["name"]] = entry.get("value", "sixteen-characters")
        self.must(environment["BELLJAR_CONFIG"] == MOUNT, "the file of the settings")
        name = next(v for v in pod["volumes"] if v["name"] == "config")["configMap"]["name"]
        texts = [m["data"] for m in self.of("ConfigMap") if m["metadata"]["name"] == name]
        self.must(len(texts) == 1, f"no config map {name}")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "belljar.toml")
            with open(path, "w") as file:
                file.write(texts[0]["belljar.toml"])
            environment["BELLJAR_CONFIG"] = path
            shown = subprocess.run(
                [belljar, "config", "show", "--json"],
                env=environment,
                capture_output=True,
                text=True,
            )
        self.must(shown.returncode == 0, shown.stderr)
        values = {row["key"]: row["value"] for row in json.loads(shown.stdout)}
        stop = sum(seconds(values[key]) for key in ("shutdown_delay", "shutdown_grace"))
        grace = pod["terminationGracePeriodSeconds"]
        self.must(grace > stop, f"a stop may take {stop} s, and is given {grace} s")
        listens = values["metrics.listen"]
        declared = [port for port in container["ports"] if port["name"] == "metrics"]
        expected = f"0.0.0.0:{declared[0]['containerPort']}" if declared else "off"
        self.must(listens == expected, f"metrics.listen is {listens}")


def seconds(text):
    number, unit = text.split()
    return float(number) * {"ms": 0.001, "s": 1, "min": 60, "h": 3600}[unit]


for path in sys.argv[2:]:
    Manifests(path).check(sys.argv[1])
