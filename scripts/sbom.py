"""The software bill of materials in CycloneDX 1.5 JSON: Towline, and the installed Debian packages that it is linked with. sbom.py VERSION PACKAGE..."""
import json
import subprocess
import sys


def fields(package, *names):
    form = "\\t".join("${%s}" % n for n in names)
    # A package may be installed for two architectures of the same version: the first line is one of them.
    return subprocess.run(["dpkg-query", "-W", "-f", form + "\\n", package], capture_output=True, text=True, check=True).stdout.splitlines()[0].split("\t")


version, packages = sys.argv[1], sys.argv[2:]
components = []
for package in packages:
    name, number, arch, source, source_version = fields(package, "Package", "Version", "Architecture", "source:Package", "source:Version")
    purl = f"pkg:deb/debian/{name}@{number.replace('+', '%2B').replace('~', '%7E').replace(':', '%3A')}?arch={arch}&distro=debian-12"
    components.append({"type": "library", "bom-ref": purl, "name": name, "version": number, "purl": purl,
                       "properties": [{"name": "debian:source", "value": f"{source} {source_version}"}]})
root = f"pkg:generic/towline@{version}"
print(json.dumps({
    "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
    "metadata": {"component": {"type": "application", "bom-ref": root, "name": "towline", "version": version, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
    "components": components, "dependencies": [{"ref": root, "dependsOn": [c["bom-ref"] for c in components]}]}, indent=1))
