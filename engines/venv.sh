#!/bin/sh
# Makes the virtual environment of this clone, or repairs it: venv.sh PYTHON FOLDER [dev]
# A stamp is there only after an installation that ended. Without one, or with a Python that does not run, is too old or has no
# pip, or after the clone was moved, the environment is made anew: what half an installation left behind breaks every later one.
# NAMED, when set, says that the user named PYTHON: an environment of another version of it is made anew as well.
set -eu
python=$1 folder=$2 extra=${3:-}
stamp=$folder/.installed
own=$folder/bin/python
[ -z "$extra" ] || stamp=$stamp-$extra

say() { echo "venv: $*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

require_python() {
	is_new_enough "$python" && return
	found=$("$python" -c 'import platform; print("is Python", platform.python_version())' 2>/dev/null) || found="does not run"
	for other in python3.13 python3.12 python3.11; do
		is_new_enough "$other" && break
	done
	say "$python $found, and quorate needs Python 3.11 or newer: nothing was made"
	if is_new_enough "$other"; then
		say "name another one: make PYTHON=$other${GOALS:+ $GOALS}"
	else
		say "install one, then name it: make PYTHON=python3.12${GOALS:+ $GOALS}"
	fi
	exit 1
}

is_whole() {
	[ -e "$folder/.installed" ] && is_new_enough "$own" || return 1
	"$own" -I - "$PWD/src/quorate/__init__.py" <<-'END' 2>/dev/null || return 1
		import importlib.util, os, sys
		quorate, pip = map(importlib.util.find_spec, ("quorate", "pip"))
		sys.exit(not (pip and quorate and os.path.samefile(quorate.origin, sys.argv[1])))
	END
	[ -z "${NAMED:-}" ] || [ "$(version "$own")" = "$(version "$python")" ]
}

version() { "$1" -c 'import sys; print(*sys.version_info[:2])'; }

if ! is_whole; then
	require_python
	[ ! -e "$folder" ] || say "$folder is not whole, or not for this clone and this Python: it is made anew"
	"$python" -m venv --clear "$folder"
fi
# An extra adds to what is there, so what is older than the project's file is installed again.
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
	rm -f "$folder"/.installed*
	say "installing quorate${extra:+ and its tools} into $folder (up to a minute)"
	"$own" -m pip install --quiet --disable-pip-version-check -e ".${extra:+[$extra]}"
	touch "$folder/.installed" "$stamp"
fi
# An editable installation compiles nothing, and where PYTHONDONTWRITEBYTECODE is set, as in many containers, nor does any run: each
# would compile all that it imports. A folder that cannot be written costs that time, and is no reason to end.
"$own" -m compileall -q src >/dev/null 2>&1 || :
