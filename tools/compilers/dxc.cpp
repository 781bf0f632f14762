// Compiles HLSL with Microsoft's DXC as wgpu asks it to: dxc libdxcompiler.so FILE.hlsl...
// Prints what fails, and last how many were taken. Built with DXC's own headers: g++ -fms-extensions -I HEADERS dxc.cpp -ldl
#include "WinAdapter.h"
#include "dxcapi.h"

#include <cstdio>
#include <dlfcn.h>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

int main(int count, char** arguments) {
    if (count < 3) return fprintf(stderr, "usage: dxc libdxcompiler.so FILE.hlsl...\n"), 2;
    void* library = dlopen(arguments[1], RTLD_NOW);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 2;
    auto create = (DxcCreateInstanceProc)dlsym(library, "DxcCreateInstance");
    IDxcCompiler3* compiler = nullptr;
    if (!create || FAILED(create(CLSID_DxcCompiler, IID_PPV_ARGS(&compiler)))) {
        return fprintf(stderr, "%s: no DXC\n", arguments[1]), 2;
    }
    UINT32 major = 0, minor = 0;
    IDxcVersionInfo* version = nullptr;
    if (SUCCEEDED(compiler->QueryInterface(IID_PPV_ARGS(&version)))) version->GetVersion(&major, &minor);

    int taken = 0, failed = 0;
    for (int i = 2; i < count; i++) {
        std::ifstream file(arguments[i]);
        std::stringstream content;
        content << file.rdbuf();
        std::string text = content.str();
        // The oldest shader model that will do, as the translation was made for.
        bool halves = text.find("float16_t") != text.npos || text.find("half") != text.npos;
        std::vector<LPCWSTR> options{L"-E", L"main", L"-T", halves ? L"cs_6_2" : L"cs_6_0", L"-HV", L"2018", L"-Ges",
                                     L"-no-warnings"};
        if (halves) options.push_back(L"-enable-16bit-types");
        DxcBuffer source{text.data(), text.size(), DXC_CP_UTF8};
        IDxcResult* result = nullptr;
        HRESULT called = compiler->Compile(&source, options.data(), options.size(), nullptr, IID_PPV_ARGS(&result));
        HRESULT status = -1;
        if (result) result->GetStatus(&status);
        if (SUCCEEDED(called) && SUCCEEDED(status)) {
            taken++;
        } else {
            failed++;
            IDxcBlobUtf8* why = nullptr;
            if (result) result->GetOutput(DXC_OUT_ERRORS, IID_PPV_ARGS(&why), nullptr);
            fprintf(stderr, "%s: %.400s\n", arguments[i], why && why->GetStringLength() ? why->GetStringPointer() : "");
        }
        if (result) result->Release();
    }
    printf("DXC %u.%u: %d of %d\n", major, minor, taken, taken + failed);
    return failed != 0;
}
