mod products;
fn main() {
    products::print();
}
