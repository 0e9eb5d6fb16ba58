# SPDX-License-Identifier: MIT
# gnuplot -e "csv='FILE'; svg='FILE'; columns=N" bench/peers/peers.gp
set terminal svg size 1100,560 dynamic font 'sans-serif,15' background '#ffffff'
set output svg
set datafile separator ','
set title 'Time of uiommu, accounting on, over the best kernel table code' textcolor '#333333'
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 0.9 noborder
set boxwidth 0.95
set logscale y 2
set yrange [1./16:4]
set format y '%gx'
set border 3 linecolor '#888888'
set tics nomirror out textcolor '#333333'
set grid ytics linecolor '#e4e4e4' linetype 1
set xtics rotate by -25
set key outside top center horizontal textcolor '#333333' noenhanced
set arrow from graph 0,first 1 to graph 1,first 1 nohead front linecolor '#333333'
colours = '#4477aa #66ccee #228833 #ccbb44 #ee6677'
plot for [n = 2:columns] csv using n:xtic(1) title columnheader(n) \
     linecolor rgb word(colours, (n - 2) % words(colours) + 1)
