// What each source file adds to the addon's exports. All of it is for lib/ alone.
#pragma once

#include <napi.h>

namespace ferry_node {

void export_cp(Napi::Env env, Napi::Object exports);
void export_read_directory(Napi::Env env, Napi::Object exports);
void export_copy_range(Napi::Env env, Napi::Object exports);
void export_memory(Napi::Env env, Napi::Object exports);
void export_map_file(Napi::Env env, Napi::Object exports);
void export_read_file(Napi::Env env, Napi::Object exports);
void export_xattr(Napi::Env env, Napi::Object exports);

}  // namespace ferry_node
