# SPDX-License-Identifier: MIT
# gnuplot -e "csv='FILE'; svg='FILE'" bench/creep.gp
set terminal svg size 1100,680 dynamic font 'sans-serif,15' background '#ffffff'
set output svg
set datafile separator ','
set multiplot layout 2,1 title 'A day of random load on one set of addresses, 1M allocations an hour'
set key outside right top
set xrange [0:24.5]
set xtics 4
set yrange [0:*]
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
set lmargin 9
set rmargin 32
set ylabel 'size'
plot csv using 1:($2*4096/2**30) skip 1 with lines lw 2 lc rgb '#999999' title 'in use, GiB', \
     csv using 1:($4/2**20) skip 1 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#1f77b4' title 'allocator, MiB'
set ylabel 'ns'
set xlabel 'hour'
plot csv using 1:5 skip 1 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#1f77b4' title 'alloc + free of the load', \
     csv using 1:6 skip 1 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#ff7f0e' title '1 page below 4 GiB', \
     csv using 1:7 skip 1 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#2ca02c' title '32 pages anywhere'
unset multiplot
