// What the addon keeps for each environment: the main thread's, and each worker's.
#pragma once

#include <napi.h>

#include "background.hpp"

namespace ferry_node {

struct Environment {
  explicit Environment(Napi::Env env) : background(env) {}

  [[nodiscard]] static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Background background;
};

}  // namespace ferry_node
