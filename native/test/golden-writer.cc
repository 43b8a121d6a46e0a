// Objects of golden images and what is noted of them. See golden-writer.h.
#include "test/golden-writer.h"

#include <unistd.h>

#include <atomic>

#include "base/crc32c.h"
#include "engine/format.h"
#include "test/golden-check.h"
#include "test/parts.h"

namespace millrace::test {

DiskImage formatted_golden_disk() {
  FaultDevice empty((DiskImage(kDiskSize)));
  FormatReport report;
  std::atomic<uint64_t> progress{0};
  const std::atomic<bool> cancel{false};
  REQUIRE(format_device(empty, FormatOptions{}, &report, &progress, &cancel).ok());
  return empty.snapshot();
}

void GoldenWriter::put_object(TestStore& store, const std::string& key, Bytes body,
                              PutOptions options) {
  if (options.head.etag == HeadOptions().etag) options.head.etag = next_etag();
  options.head.fields = fields_for(key);
  put(*store.store, key, body, options);
  note(store, key);
}

void GoldenWriter::put_part_of(TestStore& store, const std::string& key, Bytes body, ByteOffset begin,
                               ByteOffset end, bool is_new, PutOptions options) {
  std::string& etag = etags_[key];
  if (etag.empty() || is_new) etag = next_etag();
  if (options.head.etag == HeadOptions().etag) options.head.etag = etag;
  options.head.fields = fields_for(key);
  const Lookup known = find(*store.store, key);
  // A piece on the disk is only joined when it was read, as a request does that looks what lacks.
  if (known.record && !is_new) (void)stored_runs(*store.store, known.record);
  REQUIRE(put_part(*store.store, key, body, begin, end, is_new, options));
  note(store, key);
}

void GoldenWriter::note(TestStore& store, const std::string& key) {
  const Lookup lookup = find(*store.store, key);
  REQUIRE(lookup.found == Found::hit);
  const RecordHeader& header = lookup.record->header;
  GoldenObject object{key, GoldenFinding::found, header.object_length, 0,
                      crc32c(lookup.record->head_bytes())};
  std::vector<uint8_t> body;
  if (is_incomplete(*lookup.record)) {
    const auto runs = stored_runs(*store.store, lookup.record);
    for (const auto& [begin, end] : runs) {
      REQUIRE(read_body(*store.store, header.hash, header.incarnation, header.object_length, begin,
                        end - begin, &body));
    }
    object.finding = GoldenFinding::parts;
    object.detail = runs_text(runs);
  } else {
    REQUIRE(body_of(*store.store, lookup.record, &body));
    object.body_length = body.size();
  }
  object.body_crc = crc32c(body);
  objects_[{false, key}] = object;
  // One record after the other: what waits in the queue may be replaced there.
  store.flush();
}

void GoldenWriter::purged(const std::string& key, bool soft) {
  GoldenObject& object = objects_[{false, key}];
  object = soft ? object : GoldenObject{key};
  object.finding = soft ? GoldenFinding::stale : GoldenFinding::gone;
}

void GoldenWriter::leads(const std::string& key, const std::string& place) {
  GoldenObject object{key, GoldenFinding::leads};
  object.detail = place;
  objects_[{true, key}] = object;
}

void GoldenWriter::write(const std::string& name, const DiskImage& disk) const {
  std::vector<GoldenObject> objects;
  for (const auto& [key, object] : objects_) objects.push_back(object);
  const std::string path = golden_path(name + ".image.txt");
  REQUIRE_MESSAGE(access(path.c_str(), F_OK) != 0, path << " is there, and no image is ever changed");
  write_file(path, image_text(disk));
  write_file(golden_path(name + ".objects.txt"), objects_text(objects));
}

std::string GoldenWriter::next_etag() { return "\"" + std::to_string(++version_) + "\""; }

std::string GoldenWriter::fields_for(const std::string& key) {
  return "Content-Type: text/plain\r\nX-Name: " + key.substr(0, key.find('\n')) + "\r\n";
}

}  // namespace millrace::test
