// longest-repeat: finds the longest text that occurs twice, and compares with what is expected.
// usage: longest-repeat TEXT EXPECTED

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

extern "C" int esaxx_int32(char32_t *text, int32_t *suffixes, int32_t *left, int32_t *right, int32_t *depth,
                           int32_t length, int32_t alphabet, int32_t &nodes);

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: longest-repeat TEXT EXPECTED\n";
        return 2;
    }
    const std::string text = argv[1], expected = argv[2];
    std::vector<char32_t> letters(text.begin(), text.end());
    const auto length = static_cast<int32_t>(letters.size());
    std::vector<int32_t> suffixes(length), left(length), right(length), depth(length);
    int32_t nodes = 0;
    if (esaxx_int32(letters.data(), suffixes.data(), left.data(), right.data(), depth.data(), length, 256, nodes) != 0) {
        std::cerr << "no suffix array for this text\n";
        return 1;
    }
    std::string longest;
    for (int32_t node = 0; node < nodes; node++) {
        if (static_cast<size_t>(depth[node]) > longest.size()) {
            longest = text.substr(static_cast<size_t>(suffixes[left[node]]), static_cast<size_t>(depth[node]));
        }
    }
    std::cout << '"' << longest << "\" occurs more than once\n";
    return longest == expected ? 0 : 1;
}
