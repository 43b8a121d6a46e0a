// Stands in for libFuzzer where the compiler has none: runs the inputs of a directory, then seeded mutations
// of them, under the same sanitizers. Understands -runs=N, -seed=N and directories, as libFuzzer does. The
// input that ends the process is kept in ./crash-input.
#include <dirent.h>
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sim/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;
using millrace::sim::Random;

Input current;

void keep_input() {
  const int file = open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0) return;
  if (write(file, current.data(), current.size()) >= 0) {
    std::fprintf(stderr, "fuzz: the input is in ./crash-input\n");
  }
  close(file);
}

void on_abort(int number) {
  signal(number, SIG_DFL);
  keep_input();
  raise(number);
}

bool read_file(const std::string& path, Input* out) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  uint8_t piece[4096];
  for (size_t count; (count = std::fread(piece, 1, sizeof piece, file)) > 0;) {
    out->insert(out->end(), piece, piece + count);
  }
  std::fclose(file);
  return true;
}

void read_directory(const std::string& path, std::vector<Input>* out) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) {
    Input input;
    if (read_file(path, &input)) out->push_back(input);
    return;
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());  // one order on every machine
  for (const std::string& name : names) {
    Input input;
    if (read_file(path + "/" + name, &input)) out->push_back(input);
  }
}

void mutate(Random& random, const std::vector<Input>& corpus, Input* input) {
  constexpr uint64_t kEdges[] = {0, 1, 7, 8, 127, 128, 255, 4095, 4096, 65535, 65536, 1u << 20,
                                 0x7fffffff, 0x80000000, 0xffffffff, ~uint64_t{0}};
  for (uint64_t left = random.between(1, 6); left > 0; left--) {
    const size_t size = input->size();
    if (size == 0) input->push_back(static_cast<uint8_t>(random.next()));
    // Fields stand at the front of everything that we store.
    const size_t reach = random.one_in(2) ? std::min<size_t>(input->size(), 160) : input->size();
    const size_t at = random.below(reach);
    switch (random.below(7)) {
      case 0:
        (*input)[at] ^= static_cast<uint8_t>(1u << random.below(8));
        break;
      case 1:
        (*input)[at] = static_cast<uint8_t>(random.next());
        break;
      case 2: {
        const uint64_t edge = kEdges[random.below(std::size(kEdges))] + random.below(3) - 1;
        const size_t width = std::min<size_t>(size_t{1} << random.below(4), input->size() - at);
        std::memcpy(input->data() + at, &edge, width);
        break;
      }
      case 3:
        input->resize(at + 1);
        break;
      case 4:
        input->insert(input->begin() + static_cast<std::ptrdiff_t>(at), random.below(64), 0);
        break;
      case 5: {
        const Input& other = corpus[random.below(corpus.size())];
        const size_t from = other.empty() ? 0 : random.below(other.size());
        const size_t count = std::min({other.size() - from, input->size() - at, size_t{64}});
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), count,
                    input->begin() + static_cast<std::ptrdiff_t>(at));
        break;
      }
      default: {
        const size_t count = std::min<size_t>(input->size() - at, random.below(32));
        input->erase(input->begin() + static_cast<std::ptrdiff_t>(at),
                     input->begin() + static_cast<std::ptrdiff_t>(at + count));
      }
    }
  }
}

// On the heap and exactly as long as it is, so that a read behind it is seen.
void run_one(const Input& input) {
  current = input;
  current.shrink_to_fit();
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

}  // namespace

int main(int count, char** arguments) {
  uint64_t runs = 100000;
  uint64_t seed = 1;
  std::vector<Input> corpus;
  for (int i = 1; i < count; i++) {
    const std::string word = arguments[i];
    if (word.starts_with("-runs=")) {
      runs = std::strtoull(word.c_str() + 6, nullptr, 10);
    } else if (word.starts_with("-seed=")) {
      seed = std::strtoull(word.c_str() + 6, nullptr, 10);
    } else {
      read_directory(word, &corpus);
    }
  }
  signal(SIGABRT, &on_abort);
  __sanitizer_set_death_callback(&keep_input);
  if (corpus.empty()) corpus.emplace_back(64);
  for (const Input& input : corpus) run_one(input);
  Random random(seed);
  for (uint64_t i = 0; i < runs; i++) {
    Input input = corpus[random.below(corpus.size())];
    mutate(random, corpus, &input);
    run_one(input);
  }
  std::printf("fuzz: %zu inputs, %llu mutations, seed %llu\n", corpus.size(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
  return 0;
}
