// cp, cpSync, copyFile and copyFileSync.
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "background.hpp"
#include "bindings.hpp"
#include "cp_tree.hpp"
#include "question.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

using std::chrono::steady_clock;

// Events go to JavaScript in batches: one call for each would cost more than the copy of a small file.
constexpr std::size_t most_events_at_once = 256;
constexpr std::chrono::milliseconds longest_event_delay{20};
// How often a program is told how far a copy has come.
constexpr std::chrono::milliseconds progress_interval{50};

ferry::CopyOptions copy_options(std::uint32_t flags) {
  ferry::CopyOptions copy;
  copy.verify = (flags & flag_verify) != 0;
  copy.fsync = (flags & flag_fsync) != 0;
  if ((flags & flag_reflink_never) != 0) {
    copy.reflink = ferry::ReflinkMode::never;
  } else if ((flags & flag_reflink_always) != 0) {
    copy.reflink = ferry::ReflinkMode::always;
  }
  return copy;
}

CpOptions cp_options(std::uint32_t flags) {
  CpOptions options;
  options.dereference = (flags & flag_dereference) != 0;
  options.error_on_exist = (flags & flag_error_on_exist) != 0;
  options.force = (flags & flag_no_force) == 0;
  options.preserve_timestamps = (flags & flag_preserve_timestamps) != 0;
  options.recursive = (flags & flag_recursive) != 0;
  options.verbatim_symlinks = (flags & flag_verbatim_symlinks) != 0;
  options.atomic = (flags & flag_atomic) != 0;
  options.copy = copy_options(flags);
  return options;
}

CopyFileOptions copy_file_options(std::uint32_t flags) {
  return {
      .exclusive = (flags & flag_exclusive) != 0, .atomic = (flags & flag_atomic) != 0, .copy = copy_options(flags)};
}

// ------------------------------------------------------------------------------------------- values

struct OwnedEvent {
  CpEventKind kind;
  std::string source;
  std::string destination;
  std::optional<ferry::CopyReport> report;
};

const char* name_of(CpEventKind kind) {
  switch (kind) {
    case CpEventKind::file: return "file";
    case CpEventKind::directory: return "directory";
    case CpEventKind::symlink: return "symlink";
    case CpEventKind::skipped: return "skipped";
  }
  return "";
}

Napi::Object event_value(Napi::Env env, CpEventKind kind, std::string_view source, std::string_view destination,
                         const ferry::CopyReport* report) {
  const Napi::Object object = report == nullptr ? Napi::Object::New(env) : to_value(env, *report);
  object.Set("kind", Napi::String::New(env, name_of(kind)));
  object.Set("source", Napi::String::New(env, source.data(), source.size()));
  object.Set("destination", Napi::String::New(env, destination.data(), destination.size()));
  return object;
}

Napi::Object progress_value(Napi::Env env, const CpProgress& progress) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("bytesDone", to_bigint(env, progress.bytes_done));
  object.Set("entriesDone", Napi::Number::New(env, static_cast<double>(progress.entries_done)));
  return object;
}

Napi::Value report_value(Napi::Env env, const CpReport& report) {
  const Napi::Object object = to_value(env, report.data);
  object.Set("files", Napi::Number::New(env, static_cast<double>(report.files)));
  object.Set("directories", Napi::Number::New(env, static_cast<double>(report.directories)));
  object.Set("symlinks", Napi::Number::New(env, static_cast<double>(report.symlinks)));
  object.Set("skipped", Napi::Number::New(env, static_cast<double>(report.skipped)));
  const Napi::Array changed = Napi::Array::New(env, report.changed_sources.size());
  for (std::uint32_t i = 0; i < report.changed_sources.size(); ++i) {
    changed.Set(i, Napi::String::New(env, report.changed_sources[i]));
  }
  object.Set("changedSources", changed);
  return object;
}

// Most callers do not look at the report: it is made only if asked for, or if something is wrong with a source.
Napi::Value result_value(Napi::Env env, const Outcome<CpReport>& outcome, bool explain) {
  if (!outcome) {
    return to_value(env, outcome.error());
  }
  return explain || !outcome->changed_sources.empty() ? report_value(env, *outcome) : env.Undefined();
}

Napi::Value result_value(Napi::Env env, const Outcome<ferry::CopyReport>& outcome, bool explain) {
  if (!outcome) {
    return to_value(env, outcome.error());
  }
  return explain || outcome->source_changed ? to_value(env, *outcome) : env.Undefined();
}

// ------------------------------------------------------------------------------------------- on JavaScript's thread

// cpSync(source, destination, flags, filter?, onEvent?, onProgress?): undefined, a report or a failure. What the
// functions throw goes through to the caller.
Napi::Value cp_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string source = path_of(info, 0);
  const std::string destination = path_of(info, 1);
  const std::uint32_t flags = uint32_of(info, 2);
  CpOptions options = cp_options(flags);
  if (const Napi::Function filter = function_or_none(info, 3); !filter.IsEmpty()) {
    options.filter = [env, filter](const std::string& from, const std::string& to) -> Outcome<bool> {
      const Napi::HandleScope scope(env);
      return filter.Call({Napi::String::New(env, from), Napi::String::New(env, to)}).ToBoolean().Value();
    };
  }
  if (const Napi::Function on_event = function_or_none(info, 4); !on_event.IsEmpty()) {
    options.on_event = [env, on_event](const CpEvent& event) -> Outcome<void> {
      const Napi::HandleScope scope(env);
      on_event.Call({event_value(env, event.kind, event.source, event.destination, event.report)});
      return {};
    };
  }
  // Called from inside the engine, which exceptions must not go through.
  std::stop_source stop;
  std::optional<Napi::Error> thrown;
  if (const Napi::Function on_progress = function_or_none(info, 5); !on_progress.IsEmpty()) {
    options.copy.stop = stop.get_token();
    options.on_progress = [env, on_progress, &stop, &thrown](const CpProgress& progress) {
      if (thrown) {
        return;
      }
      const Napi::HandleScope scope(env);
      try {
        on_progress.Call({progress_value(env, progress)});
      } catch (const Napi::Error& error) {
        thrown = error;
        stop.request_stop();
      }
    };
  }
  const auto outcome = cp(source, destination, options);
  if (thrown) {
    throw Napi::Error(*thrown);
  }
  return result_value(env, outcome, (flags & flag_explain) != 0);
}

// copyFileSync(source, destination, flags)
Napi::Value copy_file_sync(const Napi::CallbackInfo& info) {
  const std::string source = path_of(info, 0);
  const std::string destination = path_of(info, 1);
  const std::uint32_t flags = uint32_of(info, 2);
  return result_value(info.Env(), copy_file(source, destination, copy_file_options(flags)),
                      (flags & flag_explain) != 0);
}

// ------------------------------------------------------------------------------------------- beside it

// The callbacks of one copy, called by its thread.
class Listeners : public std::enable_shared_from_this<Listeners> {
 public:
  Listeners(Background& background, std::stop_token stop, const Napi::CallbackInfo& info, std::size_t first)
      : background_(background),
        stop_(std::move(stop)),
        filter_(function_or_none(info, first)),
        on_events_(function_or_none(info, first + 1)),
        on_progress_(function_or_none(info, first + 2)) {}

  /// The options are used while this lives.
  void connect(CpOptions& options) {
    if (filter_) {
      options.filter = [this](const std::string& from, const std::string& to) { return may_copy(from, to); };
    }
    if (on_events_) {
      options.on_event = [this](const CpEvent& event) { return note(event); };
    }
    if (on_progress_) {
      options.on_progress = [this](const CpProgress& progress) { tell(progress); };
    }
  }
  [[nodiscard]] bool has_progress() const { return static_cast<bool>(on_progress_); }
  void tell(const CpProgress& progress);
  /// Gives what is left of a batch away.
  [[nodiscard]] Outcome<void> flush();
  /// JavaScript thread.
  void let_go() {
    ended_ = true;
    filter_.let_go();
    on_events_.let_go();
    on_progress_.let_go();
  }

 private:
  [[nodiscard]] Outcome<bool> may_copy(const std::string& from, const std::string& to);
  [[nodiscard]] Outcome<void> note(const CpEvent& event);

  Background& background_;
  std::stop_token stop_;
  Callback filter_;
  Callback on_events_;
  Callback on_progress_;
  bool ended_ = false;  // JavaScript thread

  std::vector<OwnedEvent> events_;
  steady_clock::time_point last_events_ = steady_clock::now();
  steady_clock::time_point last_progress_ = {};
};

Outcome<bool> Listeners::may_copy(const std::string& from, const std::string& to) {
  // Who stops waiting leaves the question behind: it owns all it needs.
  const auto ask = [self = shared_from_this(), from, to](Napi::Env env, const Napi::Object& question) {
    if (!self->ended_) {
      self->filter_.value().Call({question, Napi::String::New(env, from), Napi::String::New(env, to)});
    }
  };
  const auto answer = ask_javascript(background_, stop_, ask);
  return answer ? Outcome<bool>(*answer) : failed(ECANCELED, "cp", from, to);
}

Outcome<void> Listeners::note(const CpEvent& event) {
  events_.push_back({.kind = event.kind,
                     .source = std::string(event.source),
                     .destination = std::string(event.destination),
                     .report = event.report == nullptr ? std::nullopt : std::optional(*event.report)});
  const auto now = steady_clock::now();
  return events_.size() >= most_events_at_once || now - last_events_ >= longest_event_delay ? flush() : Outcome<void>{};
}

// The copy goes on when JavaScript has taken the batch: what is not taken yet is bounded.
Outcome<void> Listeners::flush() {
  if (!on_events_ || events_.empty()) {
    return {};
  }
  const auto ask = [self = shared_from_this(), events = std::exchange(events_, {})](Napi::Env env,
                                                                                    const Napi::Object& question) {
    if (self->ended_) {
      return;
    }
    const Napi::Array batch = Napi::Array::New(env, events.size());
    for (std::uint32_t i = 0; i < events.size(); ++i) {
      const OwnedEvent& event = events[i];
      batch.Set(i,
                event_value(env, event.kind, event.source, event.destination, event.report ? &*event.report : nullptr));
    }
    self->on_events_.value().Call({question, batch});
  };
  const auto taken = ask_javascript(background_, stop_, ask);
  last_events_ = steady_clock::now();
  return taken ? Outcome<void>{} : failed(ECANCELED, "cp");
}

void Listeners::tell(const CpProgress& progress) {
  const auto now = steady_clock::now();
  if (now - last_progress_ < progress_interval) {
    return;
  }
  last_progress_ = now;
  (void)background_.post([self = shared_from_this(), progress](Napi::Env env) {
    if (static_cast<napi_env>(env) != nullptr && !self->ended_) {
      self->on_progress_.value().Call({progress_value(env, progress)});
    }
  });
}

// cp(source, destination, flags, stop?, filter?, onEvents?, onProgress?): a promise of what cpSync returns. The filter
// is called with (question, source, destination), onEvents with (question, events); both are waited for.
Napi::Value cp_async(const Napi::CallbackInfo& info) {
  const std::string source = path_of(info, 0);
  const std::string destination = path_of(info, 1);
  const std::uint32_t flags = uint32_of(info, 2);
  const std::stop_source stop = stop_of(info, 3);
  Background& background = Background::of(info.Env());
  const auto listeners = std::make_shared<Listeners>(background, stop.get_token(), info, 4);
  CpOptions options = cp_options(flags);
  options.copy.stop = stop.get_token();
  return background.run(
      info.Env(), stop,
      [source, destination, options, listeners]() mutable {
        listeners->connect(options);
        auto outcome = cp(source, destination, options);
        if (outcome) {
          if (auto flushed = listeners->flush(); !flushed) {
            outcome = std::unexpected(flushed.error());
          }
        }
        return outcome;
      },
      [listeners, explain = (flags & flag_explain) != 0](Napi::Env env, const Outcome<CpReport>& outcome) {
        listeners->let_go();
        return result_value(env, outcome, explain);
      });
}

// copyFile(source, destination, flags, stop?, undefined, undefined, onProgress?)
Napi::Value copy_file_async(const Napi::CallbackInfo& info) {
  const std::string source = path_of(info, 0);
  const std::string destination = path_of(info, 1);
  const std::uint32_t flags = uint32_of(info, 2);
  const std::stop_source stop = stop_of(info, 3);
  Background& background = Background::of(info.Env());
  const auto listeners = std::make_shared<Listeners>(background, stop.get_token(), info, 4);
  CopyFileOptions options = copy_file_options(flags);
  options.copy.stop = stop.get_token();
  return background.run(
      info.Env(), stop,
      [source, destination, options, listeners]() mutable {
        if (listeners->has_progress()) {
          options.copy.on_progress = [&listeners](const ferry::CopyProgress& progress) {
            listeners->tell({.bytes_done = progress.bytes_done, .entries_done = 0});
          };
        }
        return copy_file(source, destination, options);
      },
      [listeners, explain = (flags & flag_explain) != 0](Napi::Env env, const Outcome<ferry::CopyReport>& outcome) {
        listeners->let_go();
        return result_value(env, outcome, explain);
      });
}

}  // namespace

void export_cp(Napi::Env env, Napi::Object exports) {
  exports.Set("cpSync", Napi::Function::New<cp_sync>(env, "cpSync"));
  exports.Set("cp", Napi::Function::New<cp_async>(env, "cp"));
  exports.Set("copyFileSync", Napi::Function::New<copy_file_sync>(env, "copyFileSync"));
  exports.Set("copyFile", Napi::Function::New<copy_file_async>(env, "copyFile"));
}

}  // namespace ferry_node
