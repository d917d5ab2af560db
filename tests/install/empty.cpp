// A program that uses nothing.
int main() {}
