// The 36 points of a tile become its 4x4 outputs A^T m A (src/kernels/winograd.rs has the matrices) as its inputs became points: a
// column by a thread, then a row. Sums of a point lie in the order of tiles and rows of weights.

fn sum_at(at: u32, point: u32) -> f32 { return ws[point * (SUMS / 4u) + at / 4u][at % 4u]; }
fn set_sum(at: u32, point: u32, v: f32) { ws[point * (SUMS / 4u) + at / 4u][at % 4u] = v; }

// A^T m: of a column's six points four, in place of the first four.
fn column_back(at: u32, column: u32) {
#repeat r 6
    let m_${r} = sum_at(at, ${r}u * 6u + column);
#end
    let a = m_1 + m_2;
    let b = m_1 - m_2;
    let c = m_3 + m_4;
    let d = m_3 - m_4;
    set_sum(at, column, m_0 + a + c);
    set_sum(at, 6u + column, 0.75 * b + 1.5 * d);
    set_sum(at, 12u + column, 0.5625 * a + 2.25 * c);
    set_sum(at, 18u + column, 0.421875 * b + 3.375 * d + m_5);
}

// (A^T m) A: of a row's six four outputs of row k of the weights, with bias, residual and ReLU.
fn row_back(tile: u32, k: u32, at: u32, r: u32) {
    let place = place_of(tile);
    if !is_live(place.n) { return; }
#repeat s 6
    let t_${s} = sum_at(at, r * 6u + ${s}u);
#end
    let e = t_1 + t_2;
    let f = t_1 - t_2;
    let g = t_3 + t_4;
    let h = t_3 - t_4;
    let row = place.row * 4u + r;
    let add = bias[k];
    let outputs = vec4(t_0 + e + g, 0.75 * f + 1.5 * h, 0.5625 * e + 2.25 * g, 0.421875 * f + 3.375 * h + t_5);
    let px = place.map_first + row * place.w + place.column * 4u;
#repeat s 4
    if row < place.h && place.column * 4u + ${s}u < place.w {
        let at_${s} = (px + ${s}u) * p.k + k;
        var v_${s} = outputs[${s}] + add;
#ifdef RESIDUAL
        v_${s} += T(residual[place.n * p.cells * p.k + at_${s}]);
#endif
        y[p.y_offset + place.n * p.y_image_stride + at_${s}] = stored(select(v_${s}, max(v_${s}, 0.0), p.relu != 0u));
    }
#end
}
