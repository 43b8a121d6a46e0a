// Writes the first golden image: two lives of the shipped store with something of everything in them, the
// second one cut off in the middle. Not run with the others, because the image is to stay as it is:
//
//   build/native-plain/millrace-test --no-skip --test-case='golden: writes an image of everything'
#include "layout/key.h"
#include "test/golden-writer.h"

namespace millrace::test {

namespace {

const std::string kHost = "http://golden.example/";
const std::string kVary("accept-language\0", 16);

PutOptions tagged(std::string_view tag) {
  PutOptions options;
  options.head.tags = {tag_hash(tag)};
  return options;
}

PutOptions raw() {
  PutOptions options;
  options.may_compress = false;
  return options;
}

void put_sizes(GoldenWriter* writer, TestStore& store) {
  writer->put_object(store, kHost + "empty", Bytes());
  writer->put_object(store, kHost + "small", text_for(1, 100));
  writer->put_object(store, kHost + "aligned", golden_body(3, 20000), raw());
  writer->put_object(store, kHost + "chunks", golden_body(4, 2 * kChunkSize + 5000), raw());
  // The rest of 20 bytes would not get shorter: a raw block in a compressed body.
  std::vector<uint8_t> body = golden_body(5, kPageSize);
  const std::vector<uint8_t> noise = body_for("noise", 5, 20);
  body.insert(body.end(), noise.begin(), noise.end());
  writer->put_object(store, kHost + "lz4", body);
  writer->put_object(store, kHost + "lz4-chunks", golden_body(6, kChunkSize + 70000));
  PutOptions unknown = raw();
  unknown.knows_length = false;
  writer->put_object(store, kHost + "length-unknown-at-first", golden_body(7, 3000), unknown);
  for (const char* language : {"de", "en"}) {
    PutOptions variant;
    variant.primary = kHost + "varies";
    variant.head.vary = kVary;
    const Field field{"accept-language", language};
    const std::string key =
        variant_key(variant.primary, bytes_of(kVary), std::span<const Field>(&field, 1)).value();
    writer->put_object(store, key, text_for(8, 60), variant);
  }
  writer->note(store, kHost + "varies");
}

void put_and_purge(GoldenWriter* writer, TestStore& store) {
  for (const bool soft : {false, true}) {
    const std::string suffix = soft ? "-soft" : "-hard";
    writer->put_object(store, kHost + "key" + suffix, text_for(10, 50));
    writer->put_object(store, kHost + "under" + suffix + "/it", text_for(11, 51));
    writer->put_object(store, kHost + "tagged" + suffix, text_for(12, 52), tagged("tag" + suffix));
    PurgeRequest request{PurgeKind::key, kHost + "key" + suffix, 0, soft, false};
    REQUIRE(purge(*store.store, request).ok());
    request = PurgeRequest{PurgeKind::prefix, kHost + "under" + suffix + "/", 0, soft, false};
    REQUIRE(purge(*store.store, request).ok());
    request = PurgeRequest{PurgeKind::tag, "", tag_hash("tag" + suffix), soft, false};
    REQUIRE(purge(*store.store, request).ok());
    for (const char* name : {"key", "under", "tagged"}) {
      const bool is_prefix = std::string(name) == "under";
      writer->purged(kHost + name + suffix + (is_prefix ? "/it" : ""), soft);
    }
  }
  writer->put_object(store, kHost + "unsafe-method", text_for(13, 53));
  REQUIRE(purge_unsafe(*store.store, kHost + "unsafe-method").ok());
  writer->purged(kHost + "unsafe-method", false);
}

}  // namespace

TEST_CASE("golden: writes an image of everything" * doctest::skip()) {
  GoldenWriter writer;
  DiskImage disk = formatted_golden_disk();
  {
    TestStore store(disk, 0, 64 * kMiB, /*compress=*/true);
    for (const bool soft : {false, true}) {
      const std::string key = kHost + (soft ? "before-all-soft" : "before-all-hard");
      writer.put_object(store, key, text_for(20, 40));
      REQUIRE(purge(*store.store, PurgeRequest{PurgeKind::all, "", 0, soft, false}).ok());
      writer.purged(key, soft);
    }
    put_sizes(&writer, store);
    writer.put_object(store, kHost + "replaced", text_for(21, 70));
    writer.put_object(store, kHost + "purged-in-the-next-life", text_for(22, 71));
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk, 0, 64 * kMiB, /*compress=*/true);
  writer.put_object(store, kHost + "replaced", text_for(23, 72));
  put_and_purge(&writer, store);
  REQUIRE(purge_key(*store.store, kHost + "purged-in-the-next-life").ok());
  writer.purged(kHost + "purged-in-the-next-life", false);
  writer.put_object(store, kHost + "chunks-in-the-open-segment", golden_body(9, kChunkSize + 1), raw());
  store.flush();
  writer.write("", store.device->snapshot());
}

}  // namespace millrace::test
