// Text form of golden images. See golden-image.h.
#include "test/golden-image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "layout/superblock.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr size_t kRow = 32;
const char* const kFindings[] = {"found", "stale", "gone", "parts", "leads"};

uint8_t digit(char character) {
  return static_cast<uint8_t>(character >= 'a' ? character - 'a' + 10 : character - '0');
}

void append_row(std::string* text, ByteOffset offset, Bytes row) {
  while (!row.empty() && row.back() == 0) row = row.first(row.size() - 1);
  if (row.empty()) return;
  char buffer[2 * kRow + 24];
  int at = std::snprintf(buffer, sizeof(buffer), "%llx ", static_cast<unsigned long long>(offset));
  for (const uint8_t byte : row) at += std::snprintf(buffer + at, 3, "%02x", byte);
  text->append(buffer, static_cast<size_t>(at)).push_back('\n');
}

std::string escaped(const std::string& key) {
  std::string text;
  for (const char character : key) {
    if (character == '\n') {
      text += "%0A";
    } else {
      text.push_back(character);
    }
  }
  return text;
}

void unescape(std::string* text) {
  for (size_t found; (found = text->find("%0A")) != std::string::npos;) text->replace(found, 3, "\n");
}

}  // namespace

std::vector<uint8_t> golden_body(uint64_t version, size_t size) {
  std::vector<uint8_t> body(size);
  for (size_t at = 0; at < size; at += 4096 * 5 + 96) {
    body[at] = static_cast<uint8_t>(version);
    if (at + 2 < size) body[at + 1] = static_cast<uint8_t>(at >> 12), body[at + 2] = 0x5a;
  }
  if (size > 0) body[size - 1] = static_cast<uint8_t>(0xe0 + version);
  return body;
}

std::string image_text(const DiskImage& disk) {
  std::string text = "size " + std::to_string(disk.size()) + "\n";
  std::vector<uint8_t> piece(kMiB);
  for (ByteOffset at = 0; at < disk.size(); at += kMiB) {
    disk.read(at, piece);
    if (std::all_of(piece.begin(), piece.end(), [](uint8_t byte) { return byte == 0; })) continue;
    for (size_t row = 0; row < kMiB; row += kRow) {
      append_row(&text, at + row, Bytes(piece).subspan(row, kRow));
    }
  }
  return text;
}

DiskImage image_of(const std::string& text) {
  std::istringstream lines(text);
  std::string word;
  ByteCount size = 0;
  lines >> word >> size;
  REQUIRE(word == "size");
  DiskImage disk(size);
  ByteOffset offset = 0;
  while (lines >> std::hex >> offset >> word) {
    std::vector<uint8_t> row;
    for (size_t i = 0; i + 1 < word.size(); i += 2) {
      row.push_back(static_cast<uint8_t>(digit(word[i]) << 4 | digit(word[i + 1])));
    }
    disk.write(offset, row);
  }
  return disk;
}

// FINDING BODY-LENGTH BODY-CRC32C HEAD-CRC32C KEY [DETAIL], line feeds of keys as %0A.
std::string objects_text(const std::vector<GoldenObject>& objects) {
  std::string text;
  for (const GoldenObject& object : objects) {
    char buffer[64];
    std::snprintf(buffer, sizeof(buffer), "%s %llu %08x %08x ",
                  kFindings[static_cast<size_t>(object.finding)],
                  static_cast<unsigned long long>(object.body_length), object.body_crc,
                  object.head_crc);
    text += buffer + escaped(object.key);
    if (!object.detail.empty()) text += " " + escaped(object.detail);
    text.push_back('\n');
  }
  return text;
}

std::vector<GoldenObject> objects_of(const std::string& text) {
  std::istringstream lines(text);
  std::vector<GoldenObject> objects;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string finding;
    GoldenObject object;
    words >> finding >> std::dec >> object.body_length >> std::hex >> object.body_crc >>
        object.head_crc >> object.key;
    REQUIRE(!words.fail());
    words >> object.detail;
    const auto at = std::find(std::begin(kFindings), std::end(kFindings), finding);
    REQUIRE(at != std::end(kFindings));
    object.finding = static_cast<GoldenFinding>(at - std::begin(kFindings));
    unescape(&object.key);
    unescape(&object.detail);
    objects.push_back(object);
  }
  return objects;
}

std::string golden_path(const std::string& name) {
  return std::string(MILLRACE_GOLDEN) + "/format-" + std::to_string(kFormatMajor) + "." +
         std::to_string(kFormatMinor) + name;
}

std::string file_text(const std::string& path) {
  INFO(path);
  FILE* file = std::fopen(path.c_str(), "r");
  REQUIRE(file != nullptr);
  std::string text;
  char buffer[16384];
  for (size_t count; (count = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) {
    text.append(buffer, count);
  }
  std::fclose(file);
  return text;
}

void write_file(const std::string& path, const std::string& text) {
  INFO(path);
  FILE* file = std::fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  REQUIRE(std::fwrite(text.data(), 1, text.size(), file) == text.size());
  REQUIRE(std::fclose(file) == 0);
}

}  // namespace millrace::test
