# shellcheck shell=bash
# Figures for benches: samples in files, medians, and the ratio lines that scripts read.
# Every sample file is $SCRATCH/CONTENDER.MEASURE, one number per line.

sample() { echo "$3" >>"$SCRATCH/$1.$2"; }  # CONTENDER MEASURE VALUE

median() {  # CONTENDER MEASURE
  sort -g "$SCRATCH/$1.$2" | awk '{ value[NR] = $1 }
    END { middle = int((NR + 1) / 2); print NR % 2 ? value[middle] : (value[middle] + value[middle + 1]) / 2 }'
}

# "median (min … max)", each multiplied and with so many decimals.
spread() {  # CONTENDER MEASURE FACTOR DECIMALS
  local low high
  low=$(sort -g "$SCRATCH/$1.$2" | head -n 1)
  high=$(sort -g "$SCRATCH/$1.$2" | tail -n 1)
  awk -v middle="$(median "$1" "$2")" -v low="$low" -v high="$high" -v factor="$3" -v decimals="$4" \
    'BEGIN { format = sprintf("%%.%df (%%.%df … %%.%df)", decimals, decimals, decimals)
             printf format "\n", middle * factor, low * factor, high * factor }'
}

ratio() {  # SUBJECT PEER MEASURE
  awk -v subject="$(median "$1" "$3")" -v peer="$(median "$2" "$3")" -v name="$1/$2 $3" \
    'BEGIN { printf "ratio %s %.3f\n", name, subject / peer }'
}

row() { printf '  %-34s %s\n' "$1" "$2"; }

microseconds() { echo "${EPOCHREALTIME/./}"; }
seconds_since() { awk -v us=$(($(microseconds) - $1)) 'BEGIN { printf "%.3f\n", us / 1e6 }'; }
