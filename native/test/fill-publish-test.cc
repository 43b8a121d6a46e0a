// What a fill leaves in the store: whole bodies under heads that tell their length, and nothing of a body
// that was cut short, purged or not worth keeping.
#include "test/fill-bench.h"

namespace millrace::test {

TEST_CASE("fill: a purge while it runs keeps its head from being published") {
  FillBench bench(true, 8 * kMiB);
  for (const ByteCount length : {ByteCount{1000}, 3 * kMiB}) {
    const Ref<Fill> fill = bench.begin(true, length);
    bench.append_to(*fill, length / 2);
    CHECK(purge_key(*bench.store, "http://h/a").ok());
    bench.append_to(*fill, length);
    REQUIRE(fill->finish().ok());
    CHECK(find(*bench.store, "http://h/a").found == Found::miss);
    bench.drain();
    const Ref<Fill> other = bench.begin(true, 10);
    bench.append_to(*other, 10);
    CHECK(purge_key(*bench.store, "http://h/b").ok());
    REQUIRE(other->finish().ok());
    CHECK(find(*bench.store, "http://h/a").found == Found::hit);
    CHECK(purge_key(*bench.store, "http://h/a").ok());
    bench.drain();
  }
}

TEST_CASE("fill: a head too large to store is passed on and not kept") {
  FillBench bench(true, 8 * kMiB);
  const Ref<Fill> fill = bench.store->begin_fill("k", notice(bench.sink, 0));
  HeadOptions options;
  options.fields = "X: " + std::string(Fill::kMaximumKeyAndHead, 'x') + "\r\n";
  REQUIRE(fill->begin(FillHead{"k", make_head(options), 10, true}).ok());
  CHECK(fill->append(bench.part(0, 10)).accepted == 10);
  CHECK(fill->finish().ok());
  CHECK(find(*bench.store, "k").found == Found::miss);
}

TEST_CASE("fill: the stored head carries the length that was unknown at the start") {
  FillBench bench(true, 8 * kMiB);
  for (const ByteCount length :
       {ByteCount{0}, ByteCount{1}, ByteCount{40000}, kMiB, kMiB + 1, 2 * kMiB}) {
    const Ref<Fill> fill = bench.begin(true);
    bench.append_to(*fill, length);
    REQUIRE(fill->finish().ok());
    const Lookup lookup = find(*bench.store, "http://h/a");
    REQUIRE(lookup.found == Found::hit);
    CHECK(decode_head(lookup.record->head_bytes()).value().body_length == length);
    CHECK(lookup.record->header.object_length == length);
    std::vector<uint8_t> got;
    REQUIRE(body_of(*bench.store, lookup.record, &got));
    CHECK(got.size() == length);
    CHECK(same_bytes(got, bench.part(0, got.size())));
    bench.drain();
  }
}

}  // namespace millrace::test
