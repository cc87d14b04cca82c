"""What a schema cannot say of docker-compose.yml: that its parts exist, fit together, stay on this machine, and are bounded.

Called by scripts/check-deploy. Prints each fault and ends with 1 if there is one.
"""

import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
OWN_IMAGE = "reliable-caching:local"


def faults_of(name, service, volumes, services):
    image = service.get("image", "")
    if image != OWN_IMAGE and not re.search(r":v?\d+\.\d+\.\d+", image):
        yield f"{name}: the image {image} is not pinned to a version"
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield f"{name}: the port {port} is published beyond 127.0.0.1"
    for mount in service.get("volumes", []):
        source, _, target = str(mount).partition(":")
        if source.startswith("."):
            if not (ROOT / source).exists():
                yield f"{name}: {source} is mounted and does not exist"
            if not target.endswith(":ro"):
                yield f"{name}: {source} is mounted and can be written to"
        elif source not in volumes:
            yield f"{name}: the volume {source} is not declared"
    environment = service.get("environment", {})
    if "LISTEN" in environment and name not in environment.get("ALLOWED_HOSTS", "").split(","):
        yield f"{name}: does not answer under its own name, which is missing in ALLOWED_HOSTS"
    if "mem_limit" not in service:
        yield f"{name}: has no memory limit"
    if not service.get("read_only"):
        yield f"{name}: can write to its root"
    one_shot = service.get("restart") == "no"
    if not one_shot and not service.get("healthcheck", {}).get("test"):
        yield f"{name}: has no health check"
    for other, how in service.get("depends_on", {}).items():
        yield from faults_of_dependency(name, other, how, service, services)


def faults_of_dependency(name, other, how, service, services):
    if other not in services:
        yield f"{name}: depends on {other}, which does not exist"
        return
    waits_for_end = how["condition"] == "service_completed_successfully"
    if waits_for_end != (services[other].get("restart") == "no"):
        yield f"{name}: waits for {other} by {how['condition']}"
    elsewhere = set(services[other].get("profiles", [])) - set(service.get("profiles", []))
    if elsewhere and how.get("required", True):
        yield f"{name}: needs {other}, which runs in the profile {' or '.join(elsewhere)} alone"


def aliases(service):
    networks = service.get("networks", {})
    if isinstance(networks, list):
        return []
    return [alias for network in networks.values() for alias in (network or {}).get("aliases", [])]


def faults_of_profiles(services):
    """No port is published twice, not even after a change of the profile, and each name of the brokers is of one profile alone."""
    ports = [str(port).rpartition(":")[0] for service in services.values() for port in service.get("ports", [])]
    for port in {port for port in ports if ports.count(port) > 1}:
        yield f"{port} is published twice"
    for count, profile in ((1, "single"), (3, "cluster")):
        named = [service for service in services.values() if f"nats-of-{count}" in aliases(service)]
        if len(named) != count or any(service.get("profiles") != [profile] for service in named):
            yield f"nats-of-{count} is not the name of {count} brokers of the profile {profile}"


def faults_of_building(services):
    """Each service with a `build` leaves an image without a name behind, if another one builds the same image."""
    builders = [name for name, service in services.items() if "build" in service]
    if len(builders) != 1:
        yield f"the image is built by {builders}, and one is enough"


def faults_of_scraping(services):
    targets = YAML(typ="safe").load(ROOT / "deploy/prometheus/prometheus.yml")["scrape_configs"]
    hosts = {target.split(":")[0] for job in targets for static in job["static_configs"] for target in static["targets"]}
    ours = {
        name
        for name, service in services.items()
        if service["image"] == OWN_IMAGE and service.get("restart") != "no" and service.get("scale") != 0
    }
    for name in ours - hosts:
        yield f"{name}: is not scraped by Prometheus"
    for host in hosts - ours - {"127.0.0.1"}:
        yield f"Prometheus scrapes {host}, which does not exist"


def faults_of_image(name, service):
    program = service["command"][0]
    if not (ROOT / "deploy/image" / program).exists() and f"target/release/{program}" not in (ROOT / "Dockerfile").read_text():
        yield f"{name}: the image has no {program}"


def faults_of_dashboards():
    yaml = YAML(typ="safe")
    sources = yaml.load(ROOT / "deploy/grafana/provisioning/datasources/datasources.yml")["datasources"]
    known = {source["uid"] for source in sources} | {"-- Grafana --", "-- Mixed --"}
    for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        for uid in set(re.findall(r'"datasource":\s*{[^}]*"uid":\s*"([^"]*)"', path.read_text())):
            if uid not in known and not uid.startswith("$"):
                yield f"{path.name} asks the data source {uid}, which is not provisioned"


def main():
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    services = compose["services"]
    faults = [
        fault
        for name, service in services.items()
        for fault in faults_of(name, service, compose["volumes"], services)
    ]
    for name, service in services.items():
        if service["image"] == OWN_IMAGE:
            faults += faults_of_image(name, service)
    faults += [*faults_of_profiles(services), *faults_of_building(services), *faults_of_scraping(services), *faults_of_dashboards()]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
