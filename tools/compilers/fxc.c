// Compiles HLSL with Microsoft's FXC as wgpu asks it to: fxc.exe FILE.hlsl...
// Prints what fails, and last how many were taken; with FXC_TIMES also what each took. d3dcompiler_47.dll lies beside it.
// Built with x86_64-w64-mingw32-gcc; Wine runs it.

#include <windows.h>
#include <d3dcompiler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef HRESULT(WINAPI *Compile)(LPCVOID, SIZE_T, LPCSTR, const D3D_SHADER_MACRO *, ID3DInclude *, LPCSTR, LPCSTR, UINT, UINT,
                                 ID3DBlob **, ID3DBlob **);

static char *contents(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    if (text && fread(text, 1, *size, file) != *size) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

int main(int argc, char **argv) {
    HMODULE library = LoadLibraryA("d3dcompiler_47.dll");
    Compile compile = library ? (Compile)(void *)GetProcAddress(library, "D3DCompile") : NULL;
    if (!compile) {
        fprintf(stderr, "no d3dcompiler_47.dll with D3DCompile\n");
        return 2;
    }
    int taken = 0;
    DWORD worst = 0, start = GetTickCount();
    const char *slowest = "-";
    for (int i = 1; i < argc; i++) {
        size_t size = 0;
        char *text = contents(argv[i], &size);
        if (!text) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            continue;
        }
        ID3DBlob *code = NULL, *said = NULL;
        DWORD begin = GetTickCount();
        HRESULT result =
            compile(text, size, argv[i], NULL, NULL, "main", "cs_5_1", D3DCOMPILE_ENABLE_STRICTNESS, 0, &code, &said);
        DWORD took = GetTickCount() - begin;
        if (took > worst) {
            worst = took;
            slowest = argv[i];
        }
        if (SUCCEEDED(result)) taken++;
        else fprintf(stderr, "%s: %s\n", argv[i], said ? (char *)said->lpVtbl->GetBufferPointer(said) : "no reason given");
        if (getenv("FXC_TIMES")) fprintf(stderr, "%6lu ms %s\n", took, argv[i]);
        if (code) code->lpVtbl->Release(code);
        if (said) said->lpVtbl->Release(said);
        free(text);
    }
    const char *name = slowest;
    for (const char *c = slowest; *c; c++)
        if (*c == '/' || *c == '\\') name = c + 1;
    printf("FXC 47: %.1f s, the slowest %s with %.1f s: %d of %d\n", (GetTickCount() - start) / 1000.0, name, worst / 1000.0,
           taken, argc - 1);
    return taken == argc - 1 ? 0 : 1;
}
