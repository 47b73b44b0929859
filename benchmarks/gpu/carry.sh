#!/usr/bin/env bash
# A large file to a machine that takes files in small pieces:
#   carry.sh split FILE DIR [MIB]   here: DIR/00/piece, DIR/01/piece, … and DIR/sha256 (default 54 MiB)
#   carry.sh keep DIR STORE         there, after each piece: copies what has come, since folders may be replaced by the next call
#   carry.sh join STORE FILE        there, at the end: puts the pieces together, and fails if one is missing or damaged
set -euo pipefail
what=$1
case $what in
split)
    file=$2 dir=$3 mib=${4:-54}
    rm -rf "$dir" && mkdir -p "$dir"
    split -b "${mib}M" -d -a 2 "$file" "$dir/part-"
    for part in "$dir"/part-*; do
        mkdir "$dir/${part##*-}" && mv "$part" "$dir/${part##*-}/piece"
    done
    sha256sum <"$file" | cut -d' ' -f1 >"$dir/sha256"
    for piece in "$dir"/*/piece; do cp "$dir/sha256" "${piece%piece}sha256"; done
    ls -d "$dir"/*/
    ;;
keep)
    mkdir -p "$3" && cp -r "$2"/. "$3"/
    ls "$3"
    ;;
join)
    cat "$2"/*/piece >"$3"
    [ "$(sha256sum <"$3" | cut -d' ' -f1)" = "$(cat "$2"/00/sha256)" ] || { echo "$3 is not whole: a piece is missing or damaged" >&2; rm "$3"; exit 1; }
    ls -l "$3"
    ;;
*)
    echo "split, keep or join, not $what" >&2
    exit 2
    ;;
esac
