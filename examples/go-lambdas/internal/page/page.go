// Package page writes what a Lambda answers.
package page

import (
	"embed"
	"io"
	"text/template"
)

//go:embed templates
var files embed.FS

// Write fills the page with a title and lines.
func Write(to io.Writer, title string, lines []string) error {
	pages, err := template.ParseFS(files, "templates/*.txt")
	if err != nil {
		return err
	}
	return pages.ExecuteTemplate(to, "page.txt", struct {
		Title string
		Lines []string
	}{title, lines})
}
