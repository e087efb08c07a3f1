//! Loops that are unrolled in any build.

/// Repeats a block for the constant indices below a literal. A debug build keeps loops over arrays
/// as loops with checks, which would cost a factor of ten here.
macro_rules! unrolled {
    (1, $index:ident, $body:block) => {{
        const $index: usize = 0;
        $body
    }};
    (2, $index:ident, $body:block) => {
        unrolled!(1, $index, $body);
        {
            const $index: usize = 1;
            $body
        }
    };
    (3, $index:ident, $body:block) => {
        unrolled!(2, $index, $body);
        {
            const $index: usize = 2;
            $body
        }
    };
    (4, $index:ident, $body:block) => {
        unrolled!(3, $index, $body);
        {
            const $index: usize = 3;
            $body
        }
    };
}

pub(super) use unrolled;
