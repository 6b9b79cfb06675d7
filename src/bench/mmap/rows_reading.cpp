// Rows that read through a map: views, iteration, touching, copying out.
#include <array>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/mmap/mapped_twice.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;
using Both = std::shared_ptr<MappedTwice>;
using Ways = Outcome<std::vector<MmapWay>>;

// A row over one file that is only read.
MmapRow reading_row(std::string name, std::uint64_t file_bytes, std::vector<Published> published,
                    const std::function<std::vector<MmapWay>(const Both& file)>& ways, bool filled = true) {
  return {.name = "mmap: " + std::move(name),
          .file_bytes = file_bytes,
          .published = std::move(published),
          .prepare = [=](const fs::path& directory) -> Ways {
            const auto file = MappedTwice::make(directory / "file", file_bytes, MapMode::read_only, filled);
            return file ? Ways(ways(*file)) : std::unexpected(file.error());
          }};
}

// A loop each of whose repetitions finds `each`.
template <typename Step>
TimedLoop finds(const Both& file, std::uint64_t each, Step step) {
  return loop_of(std::move(step), [file, each](std::uint64_t repetitions, std::uint64_t sum) {
    return file->verdict(sum, repetitions * each);
  });
}

// ---------------------------------------------------------------------------------------------- views

MmapRow view_row(std::uint64_t length) {
  return reading_row("view of " + format_size(length), mebibyte, mmap_io(23e-9), [=](const Both& file) {
    return std::vector<MmapWay>{{.name = "view",
                                 .call = fmt::format("map.view(0, {})", length),
                                 .own = true,
                                 .loop = finds(file, length,
                                               [file, length](std::uint64_t) -> std::uint64_t {
                                                 auto view = file->ferry().view(0, length);
                                                 benchmark::DoNotOptimize(view);
                                                 return view ? view->size() : file->worked(view);
                                               })},
                                {.name = "data(): pointer and size, no pin",
                                 .call = fmt::format("map.data().subspan(0, {})", length),
                                 .own = true,
                                 .loop = finds(file, length, [file, length](std::uint64_t) -> std::uint64_t {
                                   auto bytes = file->ferry().data().subspan(0, length);
                                   benchmark::DoNotOptimize(bytes);
                                   return bytes.size();
                                 })}};
  });
}

constexpr std::size_t offset_count = 1U << 14U;
constexpr std::uint64_t random_file_bytes = 16 * mebibyte;

// Offsets all over the file, the same on every call.
std::vector<std::uint32_t> random_offsets() {
  std::vector<std::uint32_t> offsets(offset_count);
  std::uint32_t state = 12345;
  for (std::uint32_t& offset : offsets) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes
    offset = (state >> 8U) % static_cast<std::uint32_t>(random_file_bytes - mebibyte);
  }
  return offsets;
}

std::uint64_t sum_at(const std::vector<std::uint32_t>& offsets, std::uint64_t repetitions) {
  std::uint64_t round = 0;
  std::uint64_t rest = 0;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    round += content_at(offsets[i]);
    rest += i < repetitions % offsets.size() ? content_at(offsets[i]) : 0;
  }
  return repetitions / offsets.size() * round + rest;
}

std::vector<MmapWay> random_ways(const Both& file, std::uint64_t length) {
  const auto offsets = std::make_shared<const std::vector<std::uint32_t>>(random_offsets());
  const auto buffer = std::make_shared<std::vector<std::byte>>(length);
  const auto loop = [&](auto step) {
    return loop_of(std::move(step), [file, offsets](std::uint64_t repetitions, std::uint64_t sum) {
      return file->verdict(sum, sum_at(*offsets, repetitions));
    });
  };
  const auto at = [offsets](std::uint64_t i) -> std::uint64_t { return (*offsets)[i % offset_count]; };
  return {
      {.name = "view, one byte read",
       .call = fmt::format("map.view(offset, {})[0]", length),
       .own = true,
       .loop = loop([file, at, length](std::uint64_t i) -> std::uint64_t {
         const auto view = file->ferry().view(at(i), length);
         return view ? std::to_integer<std::uint64_t>((*view)[0]) : file->worked(view);
       })},
      {.name = "raw pointer, one byte read",
       .call = "pointer[offset]",
       .loop = loop([raw = file->raw(), at](std::uint64_t i) { return std::to_integer<std::uint64_t>(raw[at(i)]); })},
      {.name = "read_into",
       .call = fmt::format("map.read_into(offset, buffer of {})", length),
       .own = true,
       .loop = loop([file, at, buffer](std::uint64_t i) -> std::uint64_t {
         const auto done = file->ferry().read_into(at(i), *buffer);
         return done ? std::to_integer<std::uint64_t>(buffer->front()) : file->worked(done);
       })},
      {.name = "memcpy",
       .call = fmt::format("memcpy(buffer, pointer + offset, {})", length),
       .loop = loop([raw = file->raw(), at, buffer](std::uint64_t i) {
         std::memcpy(buffer->data(), raw + at(i), buffer->size());
         return std::to_integer<std::uint64_t>(buffer->front());
       })}};
}

// ---------------------------------------------------------------------------------------------- iteration

// One byte every `step` bytes, by a pointer.
MmapWay pointer_walk(const Both& file, std::uint64_t step) {
  return {.name = "raw pointer walk",
          .call = fmt::format("for (p = begin; p < end; p += {}) sum += *p", step),
          .loop = finds(file, sum_of_content(file->size(), step), [file, step](std::uint64_t) {
            std::uint64_t sum = 0;
            const std::byte* const end = file->raw() + file->size();
            for (const std::byte* at = file->raw(); at < end; at += step) {
              sum += std::to_integer<std::uint64_t>(*at);
            }
            return sum;
          })};
}

template <typename Take>
MmapWay chunk_walk(const Both& file, std::uint64_t step, const std::string& call, Take take) {
  return {.name = "chunks, one byte read of each",
          .call = call,
          .own = true,
          .loop = finds(file, sum_of_content(file->size(), step), [file, take](std::uint64_t) -> std::uint64_t {
            const auto chunks = take(file->ferry());
            if (!chunks) {
              return file->worked(chunks);
            }
            std::uint64_t sum = 0;
            for (const std::span<const std::byte> chunk : *chunks) {
              sum += std::to_integer<std::uint64_t>(chunk[0]);
            }
            return sum;
          })};
}

MmapRow chunks_row(std::uint64_t step, double published) {
  return reading_row(fmt::format("chunks of {} over 16 MiB", format_size(step)), 16 * mebibyte, mmap_io(published),
                     [=](const Both& file) {
                       return std::vector<MmapWay>{
                           chunk_walk(file, step, fmt::format("map.chunks({})", step),
                                      [step](const MappedFile& map) { return map.chunks(step); }),
                           pointer_walk(file, step)};
                     });
}

MmapRow pages_row() {
  return reading_row("pages over 16 MiB", 16 * mebibyte, mmap_io(184e-6), [](const Both& file) {
    return std::vector<MmapWay>{
        chunk_walk(file, page_bytes, "map.pages()", [](const MappedFile& map) { return map.pages(); }),
        pointer_walk(file, page_bytes)};
  });
}

MmapRow owned_chunks_row(std::uint64_t step, double published) {
  return reading_row(fmt::format("owned chunks of {} over 16 MiB", format_size(step)), 16 * mebibyte,
                     mmap_io(published), [=](const Both& file) {
                       const std::uint64_t sum_of_first = sum_of_content(file->size(), step);
                       return std::vector<MmapWay>{
                           {.name = "owned_chunks",
                            .call = fmt::format("map.owned_chunks({})", step),
                            .own = true,
                            .loop = finds(file, sum_of_first,
                                          [file, step](std::uint64_t) -> std::uint64_t {
                                            const auto chunks = file->ferry().owned_chunks(step);
                                            if (!chunks) {
                                              return file->worked(chunks);
                                            }
                                            std::uint64_t sum = 0;
                                            for (const std::vector<std::byte>& chunk : *chunks) {
                                              benchmark::DoNotOptimize(chunk.data());
                                              sum += std::to_integer<std::uint64_t>(chunk[0]);
                                            }
                                            return sum;
                                          })},
                           {.name = "a vector of each",
                            .call = fmt::format("std::vector(p, p + {})", step),
                            .loop = finds(file, sum_of_first, [file, step](std::uint64_t) {
                              std::uint64_t sum = 0;
                              for (std::uint64_t offset = 0; offset < file->size(); offset += step) {
                                const std::vector<std::byte> chunk(file->raw() + offset, file->raw() + offset + step);
                                benchmark::DoNotOptimize(chunk.data());
                                sum += std::to_integer<std::uint64_t>(chunk[0]);
                              }
                              return sum;
                            })}};
                     });
}

MmapRow whole_view_row(std::uint64_t size, double published) {
  return reading_row(
      fmt::format("view of a whole file of {}", format_size(size)), size, mmap_io(published), [](const Both& file) {
        const auto buffer = std::make_shared<std::vector<std::byte>>(file->size());
        return std::vector<MmapWay>{{.name = "view, one byte read of each page",
                                     .call = "map.view(0, map.size())",
                                     .own = true,
                                     .loop = finds(file, sum_of_content(file->size(), page_bytes),
                                                   [file](std::uint64_t) -> std::uint64_t {
                                                     const auto view = file->ferry().view(0, file->size());
                                                     if (!view) {
                                                       return file->worked(view);
                                                     }
                                                     std::uint64_t sum = 0;
                                                     for (std::size_t i = 0; i < view->size(); i += page_bytes) {
                                                       sum += std::to_integer<std::uint64_t>((*view)[i]);
                                                     }
                                                     return sum;
                                                   })},
                                    pointer_walk(file, page_bytes),
                                    {.name = "read_into, all bytes copied",
                                     .call = "map.read_into(0, buffer)",
                                     .own = true,
                                     .loop = finds(file, 1, [file, buffer](std::uint64_t) -> std::uint64_t {
                                       const auto done = file->ferry().read_into(0, *buffer);
                                       return done ? std::to_integer<std::uint64_t>(buffer->front())
                                                   : file->worked(done);
                                     })}};
      });
}

// A hole of the size: its pages are in the cache once they were touched.
MmapRow touch_row(std::uint64_t size, double published) {
  return reading_row(
      fmt::format("touch_pages over {}", format_size(size)), size, mmap_io(published),
      [](const Both& file) {
        const auto all_resident = [file](std::uint64_t repetitions, std::uint64_t sum) {
          const auto found = file->ferry().resident();
          const bool all = found && found->resident_pages == file->size() / page_bytes;
          return all ? file->verdict(sum, repetitions) : std::string("pages are missing");
        };
        return std::vector<MmapWay>{
            {.name = "touch_pages",
             .call = "map.touch_pages()",
             .own = true,
             .loop =
                 loop_of([file](std::uint64_t) { return file->worked(file->ferry().touch_pages()); }, all_resident)},
            {.name = "volatile reads",
             .call = "for (p = begin; p < end; p += 4096) *(volatile char*)p",
             .loop = loop_of(
                 [file](std::uint64_t) -> std::uint64_t {
                   const std::byte* const end = file->raw() + file->size();
                   for (const std::byte* at = file->raw(); at < end; at += page_bytes) {
                     static_cast<void>(*static_cast<const volatile std::byte*>(at));
                   }
                   return 1;
                 },
                 all_resident)},
            {.name = "advise(populate)",
             .call = "map.advise(Advice::populate)",
             .own = true,
             .loop = loop_of([file](std::uint64_t) { return file->worked(file->ferry().advise(Advice::populate)); },
                             all_resident)}};
      },
      false);
}

// ---------------------------------------------------------------------------------------------- copying and guards

MmapRow read_into_row(std::uint64_t length, double published) {
  return reading_row("read_into of " + format_size(length), mebibyte, mmap_io(published), [=](const Both& file) {
    const auto buffer = std::make_shared<std::vector<std::byte>>(length);
    return std::vector<MmapWay>{{.name = "read_into",
                                 .call = fmt::format("map.read_into(0, buffer of {})", length),
                                 .own = true,
                                 .loop = finds(file, 1,
                                               [file, buffer](std::uint64_t) -> std::uint64_t {
                                                 const auto done = file->ferry().read_into(0, *buffer);
                                                 return done ? std::to_integer<std::uint64_t>(buffer->front())
                                                             : file->worked(done);
                                               })},
                                {.name = "memcpy",
                                 .call = fmt::format("memcpy(buffer, pointer, {})", length),
                                 .loop = finds(file, 1, [raw = file->raw(), buffer](std::uint64_t) {
                                   std::memcpy(buffer->data(), raw, buffer->size());
                                   return std::to_integer<std::uint64_t>(buffer->front());
                                 })}};
  });
}

MmapRow guarded_row() {
  return reading_row("guarded read of a byte", mebibyte, {}, [](const Both& file) {
    return std::vector<MmapWay>{
        {.name = "guarded",
         .call = "map.guarded([&] { return p[0]; })",
         .own = true,
         .loop = finds(file, 1,
                       [file](std::uint64_t) -> std::uint64_t {
                         const std::byte* const bytes = file->ferry().data().data();
                         const auto byte = file->ferry().guarded([bytes] { return bytes[0]; });
                         return byte ? std::to_integer<std::uint64_t>(*byte) : file->worked(byte);
                       })},
        {.name = "raw pointer", .call = "p[0]", .loop = finds(file, 1, [raw = file->raw()](std::uint64_t) {
                                                  return std::to_integer<std::uint64_t>(raw[0]);
                                                })}};
  });
}

}  // namespace

std::vector<MmapRow> mmap_reading_rows() {
  std::vector<MmapRow> rows = {view_row(64), view_row(mebibyte)};
  for (const std::uint64_t length : {std::uint64_t{64}, std::uint64_t{256}, 4 * kibibyte, 64 * kibibyte}) {
    rows.push_back(reading_row("random view of " + format_size(length), random_file_bytes, mmap_io(131e-9, 135e-9),
                               [length](const Both& file) { return random_ways(file, length); }));
  }
  rows.insert(rows.end(),
              {chunks_row(4 * kibibyte, 172e-6), chunks_row(64 * kibibyte, 5.2e-6), pages_row(),
               owned_chunks_row(4 * kibibyte, 1.43e-3), owned_chunks_row(64 * kibibyte, 1.35e-3),
               whole_view_row(mebibyte, 0.89e-6), whole_view_row(16 * mebibyte, 35e-6),
               whole_view_row(256 * mebibyte, 1069e-6), touch_row(mebibyte, 0.46e-6), touch_row(8 * mebibyte, 18e-6),
               touch_row(32 * mebibyte, 80e-6), touch_row(1024 * mebibyte, 4.1e-3), read_into_row(4 * kibibyte, 107e-9),
               read_into_row(64 * kibibyte, 1.9e-6), read_into_row(mebibyte, 62e-6), guarded_row()});
  return rows;
}

}  // namespace ferry::bench
