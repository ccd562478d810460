# Mean, lowest and highest reading of every shelf.
BEGIN { FS = ","; OFS = "\t" }
NR == 1 { next }
{
    count[$2]++
    sum[$2] += $3
    if (count[$2] == 1 || $3 < low[$2]) low[$2] = $3
    if (count[$2] == 1 || $3 > high[$2]) high[$2] = $3
}
END { for (shelf in count) print shelf, sprintf("%.2f", sum[shelf] / count[shelf]), low[shelf], high[shelf] }
