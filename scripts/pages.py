"""Manual pages and shell completion from the programs' own description of their flags: pages.py PROGRAMS OUT makes OUT/man/*.1 and OUT/completions/*."""
import json
import re
import subprocess
import sys
from pathlib import Path

programs, out = Path(sys.argv[1]), Path(sys.argv[2])


def says(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True).stdout


def roff(text):
    return re.sub(r"(?m)^([.'])", r"\\&\1", text.replace("\\", "\\e").replace("-", "\\-"))


def page(name, summary, *sections):
    body = "".join(f".SH {title}\n{text}\n" for title, text in sections)
    (out / "man").mkdir(parents=True, exist_ok=True)
    (out / "man" / f"{name}.1").write_text(f'.TH {name.upper()} 1 "" "{says(programs / name, "--version").strip()}"\n.SH NAME\n{name} \\- {roff(summary)}\n{body}')


def completion(name, script):
    (out / "completions").mkdir(parents=True, exist_ok=True)
    (out / "completions" / name).write_text(script)


for name in sorted(p.name for p in programs.iterdir() if subprocess.run([p, "--print-flags"], capture_output=True, check=False).returncode == 0):
    flags = json.loads(says(programs / name, "--print-flags"))
    options = ""
    for f in flags:
        value = "" if f["switch"] else " \\fIVALUE\\fR"
        notes = [f"Environment: {f['env']}."] + ["Repeats."] * f["repeats"] + ["Not on the command line, which everybody can read."] * f["secret"]
        if f["default"]:
            notes.append(f"Default: {f['default']}.")
        options += f".TP\n\\fB{roff(f['name'])}\\fR{value}\n{roff(f['description'])}.\n{roff(' '.join(notes))}\n"
    page(name, says(programs / name, "--help").splitlines()[0].rstrip("."),
         ("SYNOPSIS", f".B {name}\n[\\fIOPTIONS\\fR]"), ("OPTIONS", options.rstrip()),
         ("FILES", roff("A flag --a.b is the key \"a.b\" of the TOML file that --config names.")))
    words = " ".join([f["name"] for f in flags] + ["--help", "--version"])
    completion(name, f"complete -W '{words}' -o default {name}\n")

help_text = says(programs / "towline", "--help")
verbs = re.findall(r"^  ([a-z-]+) {2,}\S", help_text.split("Subcommands:")[1].split("Exit codes")[0], re.M)
flags_of = {verb: re.findall(r"^  (?:-\w,)?(--[a-z0-9.-]+)", says(programs / "towline", verb, "--help"), re.M) for verb in verbs}
common = re.findall(r"^  (?:-\w,)?(--[a-z0-9.-]+)", help_text, re.M)
sections = [("SYNOPSIS", ".B towline\n[\\fIOPTIONS\\fR] \\fIVERB\\fR"), ("OPTIONS AND VERBS", f".nf\n{roff(help_text.rstrip())}\n.fi")]
sections += [(verb.upper(), f".nf\n{roff(says(programs / 'towline', verb, '--help').rstrip())}\n.fi") for verb in verbs]
page("towline", help_text.splitlines()[0].rstrip("."), *sections)
cases = "\n".join(f"    {verb}) words='{' '.join(flags_of[verb])}' ;;" for verb in verbs)
completion("towline", f"""_towline() {{
  local word words='{' '.join(verbs + common)}'
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in
{cases}
    *) continue ;;
    esac
    break
  done
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _towline towline
""")
print(f"{len(list((out / 'man').iterdir()))} manual pages, {len(list((out / 'completions').iterdir()))} completions")
